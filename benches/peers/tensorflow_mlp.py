"""Peer of `mlp`: dense layers 256-4096-4096-256 with a rectifier after each, mean squared error, Adam.

Inputs and targets are drawn from the normal distribution inside of every step.
"""
import tensorflow as tf

from tensorflow_peer import graph, run

WIDTHS = [256, 4096, 4096, 256]


def layer(x, number, width):
    uniform = graph.glorot_uniform_initializer()
    weights = graph.get_variable(f"layer{number}/weights", [x.shape[1], width], initializer=uniform)
    biases = graph.get_variable(f"layer{number}/biases", [width], initializer=graph.zeros_initializer())
    return tf.nn.relu(tf.nn.bias_add(tf.matmul(x, weights), biases))


def step(batch):
    x = tf.random.normal([batch, WIDTHS[0]])
    targets = tf.random.normal([batch, WIDTHS[-1]])
    for number, width in enumerate(WIDTHS[1:], 1):
        x = layer(x, number, width)
    loss = tf.reduce_mean(tf.math.squared_difference(x, targets))
    steps = graph.train.get_or_create_global_step()
    return graph.train.AdamOptimizer(1e-4).minimize(loss, global_step=steps)


if __name__ == "__main__":
    run(__doc__, step)
