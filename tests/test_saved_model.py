"""A module that is trained, saved with TensorFlow's defaults, loaded in this process and in new ones, and trained on."""

import inspect
import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import tfqz
from tfqz._backends import BACKENDS

SAVED = ["native", "graph", "scipy"]


class Model(tf.Module):
    """Left and right factors that make pencils diagonal."""

    signature = [tf.TensorSpec([None, 4, 4], tf.float64, "a"), tf.TensorSpec([4, 4], tf.float64, "b")]

    def __init__(self, backend):
        super().__init__()
        self.backend = backend
        self.left, self.right = (tf.Variable(tf.eye(4, dtype=tf.float64)) for _ in range(2))

    @tf.function(input_signature=signature)
    def loss(self, a, b):
        """How far all four factors are from those of a diagonal pencil."""
        s, t, q, z = tfqz.qz(self.left @ a @ self.right, self.left @ b @ self.right, backend=self.backend)
        one = tf.eye(4, dtype=tf.float64)
        return tf.add_n([tf.reduce_mean((factor - one) ** 2) for factor in (s / 4, t, q, z)])

    @tf.function(input_signature=signature)
    def gradient(self, a, b):
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            loss = self.loss(a, b)
        return dict(zip(("a", "b", "left", "right"), tape.gradient(loss, [a, b, self.left, self.right])))


def train(model, steps):
    """Gradient descent: its losses, and then the saved gradients for a batch of another size."""
    rng = np.random.default_rng(0)
    a = tf.constant(np.diag([1.0, 2.0, 3.0, 4.0]) + 0.1 * rng.standard_normal((3, 4, 4)))
    b = tf.constant(np.eye(4) + 0.1 * rng.standard_normal((4, 4)))
    variables, losses = [model.left, model.right], []
    for _ in range(steps):
        with tf.GradientTape() as tape:
            loss = model.loss(a, b)
        for variable, gradient in zip(variables, tape.gradient(loss, variables)):
            variable.assign_sub(0.5 * gradient)
        losses.append(float(loss))
    gradients = model.signatures["gradient"] if hasattr(model, "signatures") else model.gradient
    return losses, {key: gradient.numpy().tolist() for key, gradient in gradients(a=a[:2], b=b).items()}


def train_saved(folder):
    """The same for a model that was saved, or the error."""
    try:
        return train(tf.saved_model.load(folder), steps=3)
    except Exception as error:
        return str(error)


FIRST_LINES = {
    "with tfqz": "import json, sys, tfqz",
    "without tfqz": "import json, sys; sys.modules['tfqz'] = None",  # to import it would be an error
}


def start(process, folders):
    """A new Python that prints what comes of training the models in `folders`."""
    script = [
        FIRST_LINES[process],
        "import numpy as np",
        "import tensorflow as tf",
        *map(inspect.getsource, (train, train_saved)),
        "print(json.dumps([train_saved(folder) for folder in sys.argv[1:]]))",
    ]
    command = [sys.executable, "-c", "\n".join(script), *folders]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The losses before saving, by backend, and what came of training on, by process and backend."""
    models = {name: Model(name) for name in SAVED if BACKENDS[name].why_not() is None}
    before = {name: train(model, steps=2)[0] for name, model in models.items()}
    folders = {name: str(tmp_path_factory.mktemp(name)) for name in models}
    for name, model in models.items():
        tf.saved_model.save(model, folders[name], signatures={"gradient": model.gradient})
    processes = {process: start(process, folders.values()) for process in FIRST_LINES}  # all at once
    after = {
        "not saved": {name: train(model, steps=3) for name, model in models.items()},
        "the same process": {name: train_saved(folder) for name, folder in folders.items()},
    }
    for name, process in processes.items():
        printed, errors = process.communicate()
        assert process.returncode == 0, errors
        after[name] = dict(zip(models, json.loads(printed)))
    return before, after


@pytest.mark.slow
@pytest.mark.parametrize("backend", SAVED, indirect=True)
@pytest.mark.parametrize("process", ["the same process", *FIRST_LINES])
def test_trained_on(trained, process, backend):
    """As if it had not been saved. Without tfqz TensorFlow doesn't know the ops of the native backend, and says the name of one; what
    calls SciPy stays in its process."""
    before, after = trained
    outcome = after[process][backend]
    if (process, backend) == ("without tfqz", "native"):
        assert "Op type not registered 'Tfqz>" in outcome
        return
    if backend == "scipy" and process != "the same process":
        assert "pyfunc" in outcome  # the name of a function in the process that saved the model
        return
    assert not isinstance(outcome, str), outcome
    (losses, gradients), (expected_losses, expected_gradients) = outcome, after["not saved"][backend]
    assert np.all(np.diff(before[backend] + losses) < 0)
    assert np.allclose(losses, expected_losses, rtol=1e-12, atol=0)
    assert gradients.keys() == expected_gradients.keys()
    for key, expected in expected_gradients.items():
        assert np.allclose(gradients[key], expected, rtol=1e-12, atol=1e-12), key
