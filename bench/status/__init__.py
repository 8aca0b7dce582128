"""The benchmark `status`: what readers of a large director's status and a reload cost its event loop."""
