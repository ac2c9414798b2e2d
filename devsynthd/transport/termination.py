"""The end of a ZeroMQ context, which is not waited for without end."""

import threading

import zmq


def terminate(context: "zmq.Context[zmq.Socket[bytes]]", limit_s: float) -> bool:
    """End *context*, whose sockets are closed; return false if that takes longer than *limit_s*.

    libzmq may wait for ever, whatever ``LINGER`` says: for the connection of a peer that hung up
    less than a millisecond before it was sent a message. The thread that waits for that lasts as
    long as the process, and holds *context*: to throw it away would be to wait once more.
    """
    waiting = threading.Thread(target=context.term, name="zmq-termination", daemon=True)
    try:
        waiting.start()
    except RuntimeError:  # the system grants no thread: most contexts end at once all the same
        context.term()
    else:
        waiting.join(limit_s)
    return context.closed
