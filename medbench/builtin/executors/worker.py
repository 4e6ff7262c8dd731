"""The child process: loads one model and answers windows of requests until its parent closes the pipe."""

from __future__ import annotations

import os
import signal
import sys
import threading
from queue import SimpleQueue
from typing import BinaryIO

import msgspec

from medbench.builtin.executors.asking import Conversation
from medbench.builtin.executors.frames import Answers, Begin, Broken, Done, read_frame, write_frame
from medbench.builtin.executors.local import build
from medbench.errors import MedbenchError
from medbench.types import Answer, Asked, Loaded


def main() -> None:
    """Serve one parent over stdin and stdout; whatever the model prints goes to stderr."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides; its end closes the pipe
    wanted = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    frames: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_read, args=(wanted, frames), daemon=True).start()
    try:
        _serve(frames, answers)
    except MedbenchError as error:
        write_frame(answers, Broken(kind=type(error).__name__, message=error.message, hint=error.hint))


def _read(pipe: BinaryIO, frames: SimpleQueue[bytes]) -> None:
    """Hand frames over; a closed pipe ends the process at once, even in the middle of a batch: no orphan is left."""
    while (frame := read_frame(pipe)) is not None:
        frames.put(frame)
    os._exit(0)


def _serve(frames: SimpleQueue[bytes], answers: BinaryIO) -> None:
    begin = msgspec.msgpack.decode(frames.get(), type=Begin)
    sys.path[:] = begin.path
    conversation = Conversation(build(begin.card, begin.options), begin.card.name)
    write_frame(answers, Loaded(facts=conversation.facts()))
    decoder = msgspec.msgpack.Decoder(list[Asked])
    while True:
        for answer in conversation.ask(decoder.decode(frames.get())):
            write_frame(answers, Answers(answers=[_plain(answer)]))
        write_frame(answers, Done())


def _plain(answer: Answer) -> Answer:
    """Turn views of a model's memory into bytes that can travel."""
    data = getattr(answer.output, "data", None)
    if isinstance(data, memoryview):
        return Answer(key=answer.key, output=msgspec.structs.replace(answer.output, data=bytes(data)))
    return answer


if __name__ == "__main__":
    main()
