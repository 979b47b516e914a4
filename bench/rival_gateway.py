"""What a team would write in an afternoon, to compare a gateway with: FastAPI, a set of sockets, a loop over it."""

import os
import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse

app = FastAPI()
_sockets: set[WebSocket] = set()
_newest: list[str] = [""]


@app.websocket("/api/v1/ws")
async def follow(socket: WebSocket) -> None:
    """Says the newest state, then whatever comes; reads what the client says, and does nothing with it."""
    await socket.accept()
    await socket.receive_text()
    await socket.send_text(_newest[0])
    _sockets.add(socket)
    try:
        while True:
            await socket.receive_text()
    except WebSocketDisconnect:
        _sockets.discard(socket)


@app.post("/event")
async def event(request: Request) -> Response:
    """A state for everybody."""
    _newest[0] = (await request.body()).decode()
    for socket in tuple(_sockets):
        await socket.send_text(_newest[0])
    return Response(status_code=204)


@app.get("/download")
async def download() -> Response:
    """The file that is named in the environment."""
    return FileResponse(Path(os.environ["RIVAL_FILE"]))


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error", backlog=4096)
