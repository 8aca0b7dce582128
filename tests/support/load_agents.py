"""Agents of both dialects in one process: `python -m tests.support.load_agents FILE HTTP-PORT TEXT-PORT`.

Each answers with what FILE holds at that moment.
"""

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer


def serve(file: Path, http_port: int, text_port: int) -> None:
    """Answer until the process is ended."""

    class Load(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = file.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    class Text(StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(file.read_bytes() + b"\n")

    ThreadingTCPServer.allow_reuse_address = True
    text = ThreadingTCPServer(("0.0.0.0", text_port), Text)
    threading.Thread(target=text.serve_forever, daemon=True).start()
    ThreadingHTTPServer(("0.0.0.0", http_port), Load).serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
