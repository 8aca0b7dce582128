"""Files that bring a real server's preparations back at boot, and who reads them."""
