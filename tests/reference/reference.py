"""Makes reference.json: losses, gradients and averages of `cifar10` and `mlp` in TensorFlow, float64.

    pip install tensorflow-cpu==2.21.0
    python tests/reference/reference.py > tests/reference/reference.json

Parameters and inputs are numbers of SplitMix64, which tests/reference.rs computes in the same way.
"""
import json
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import tensorflow as tf

STEPS = 20
BATCH = 64
CIFAR10 = [  # in name order: name, shape, limit of the uniform distribution
    ("conv1/biases", (64,), 0.1),
    ("conv1/weights", (5, 5, 3, 64), 0.1),
    ("conv2/biases", (64,), 0.1),
    ("conv2/weights", (5, 5, 64, 64), 0.05),
    ("local3/biases", (384,), 0.1),
    ("local3/weights", (2304, 384), 0.04),
    ("local4/biases", (192,), 0.1),
    ("local4/weights", (384, 192), 0.08),
    ("softmax_linear/biases", (10,), 0.1),
    ("softmax_linear/weights", (192, 10), 0.01),
]
WIDTHS = [8, 16, 12, 4]
MLP = []
for layer, (inputs, outputs) in enumerate(zip(WIDTHS, WIDTHS[1:]), 1):
    MLP.append((f"layer{layer:02}/biases", (outputs,), 0.1))
    MLP.append((f"layer{layer:02}/weights", (inputs, outputs), 0.5))


def bits(stream, count):
    """Outputs of SplitMix64 for the states stream · 2^32 + 0, 1, ..."""
    with np.errstate(over="ignore"):
        z = np.arange(count, dtype=np.uint64) + np.uint64(stream << 32)
        z = z + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def uniform(stream, shape, limit):
    unit = (bits(stream, int(np.prod(shape))) >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1.0
    return (unit * limit).reshape(shape)


def variables(table):
    return [tf.Variable(uniform(i, shape, limit)) for i, (_, shape, limit) in enumerate(table)]


def lrn(x):
    """tf.nn.lrn(x, 4, 1.0, 0.001 / 9, 0.75), which has no float64."""
    padded = tf.pad(x * x, [[0, 0], [0, 0], [0, 0], [4, 4]])
    window = tf.add_n([padded[..., d : d + x.shape[-1]] for d in range(9)])
    return x * (1.0 + 0.001 / 9.0 * window) ** -0.75


def cifar10_loss(v, images, labels):
    b1, w1, b2, w2, b3, w3, b4, w4, b5, w5 = v
    x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(images, w1, 1, "SAME"), b1))
    x = lrn(tf.nn.max_pool2d(x, 3, 2, "SAME"))
    x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, w2, 1, "SAME"), b2))
    x = tf.nn.max_pool2d(lrn(x), 3, 2, "SAME")
    x = tf.reshape(x, [images.shape[0], -1])
    x = tf.nn.relu(x @ w3 + b3)
    x = tf.nn.relu(x @ w4 + b4)
    x = x @ w5 + b5
    entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=x)
    return tf.reduce_mean(entropy) + 0.004 * (tf.nn.l2_loss(w3) + tf.nn.l2_loss(w4))


def mlp_loss(v, inputs, targets):
    x = inputs
    for biases, weights in zip(v[::2], v[1::2]):
        x = tf.nn.relu(x @ weights + biases)
    return tf.reduce_mean(tf.math.squared_difference(x, targets))


def projections(tensors):
    """One number for each tensor that depends on every element and its place."""
    return [
        float(np.sum(np.asarray(t) * uniform(100 + i, t.shape, 1.0)))
        for i, t in enumerate(tensors)
    ]


def train(table, loss_of, inputs, targets, optimizer, averaged):
    v = variables(table)
    average = None
    losses = []
    for step in range(1, STEPS + 1):
        with tf.GradientTape() as tape:
            loss = loss_of(v, inputs, targets)
        gradients = tape.gradient(loss, v)
        if step == 1:
            first = projections(gradients)
            if averaged:
                # The first call only copies the variables.
                average = tf.train.ExponentialMovingAverage(0.9999, num_updates=0)
                average.apply(v)
        losses.append(float(loss))
        optimizer.apply_gradients(zip(gradients, v))
        if averaged:
            average._num_updates = step
            average.apply(v)
    moved = [average.average(x) for x in v] if averaged else v
    start = [uniform(i, shape, limit) for i, (_, shape, limit) in enumerate(table)]
    return {
        "losses": losses,
        "first_gradient_projections": first,
        "moved_by": [float(np.linalg.norm(np.asarray(m) - s)) for m, s in zip(moved, start)],
    }


def main():
    sample = tf.constant(uniform(60, (2, 3, 3, 64), 2.0).astype(np.float32))
    difference = tf.nn.lrn(sample, 4, bias=1.0, alpha=0.001 / 9.0, beta=0.75) - lrn(sample)
    assert float(tf.reduce_max(tf.abs(difference))) < 1e-6
    images = tf.constant(uniform(50, (BATCH, 24, 24, 3), 1.7))
    labels = tf.constant((bits(51, BATCH) % np.uint64(10)).astype(np.int32))
    sgd = tf.compat.v1.train.GradientDescentOptimizer(0.02)
    adam = tf.compat.v1.train.AdamOptimizer(0.01)
    inputs = tf.constant(uniform(52, (BATCH, WIDTHS[0]), 1.7))
    targets = tf.constant(uniform(53, (BATCH, WIDTHS[-1]), 1.7))
    report = {
        "cifar10": train(CIFAR10, cifar10_loss, images, labels, sgd, True),
        "mlp": train(MLP, mlp_loss, inputs, targets, adam, False),
    }
    print(json.dumps(report, indent=1))


main()
