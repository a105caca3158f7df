"""What programs of JAX call on the CPU: the C++ functions that TensorFlow's XLA calls as well, under the same names.

    tfqz.jax.register()
    s, t, q, z = jax.jit(jax2tf.call_tf(tfqz.qz))(a, b)

JAX has an XLA of its own, and this makes them known to it. They are there for `jax.ffi.ffi_call` too.
"""

import ctypes
import functools

import jax

from tfqz._backends import library


@functools.cache
def register():
    """Registers the C++ functions with JAX, for the platform "cpu"; again it does nothing.

    Raises:
      ImportError: the C++ library doesn't load.
    """
    _, reason = library.load()
    if reason is not None:
        raise ImportError(reason)
    handler_at = ctypes.CDLL(str(library.path())).tfqz_ffi_handler
    handler_at.restype, handler_at.argtypes = ctypes.c_void_p, [ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)]
    name = ctypes.c_char_p()
    place = 0
    while handler := handler_at(place, ctypes.byref(name)):
        jax.ffi.register_ffi_target(name.value.decode(), jax.ffi.pycapsule(ctypes.c_void_p(handler)), platform="cpu")
        place += 1
