"""KeyboardInterrupt as Python raises it."""

import contextlib


@contextlib.contextmanager
def as_keyboard_interrupts():
    """Up to Python 3.11 an interrupt that comes while TensorFlow makes an exception of the interrupted op's status ends up as a
    RuntimeError."""
    try:
        yield
    except RuntimeError as error:
        if "REPLACED BY KeyboardInterrupt" in str(error):
            raise KeyboardInterrupt from None
        raise
