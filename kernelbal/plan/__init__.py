"""From a site file and an observed kernel to the actions between them: pure functions."""
