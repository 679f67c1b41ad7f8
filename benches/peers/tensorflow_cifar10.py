"""Peer of `cifar10`: the network of TensorFlow's CIFAR-10 tutorial on one batch that stays in memory.

A step is forward, loss with weight decay, backward, gradient descent, and the averages of all variables.
"""
import numpy
import tensorflow as tf

from tensorflow_peer import graph, run

CLASSES = 10
WEIGHT_DECAY = 0.004


def layer(name, shape, deviation, bias):
    """Weights of a truncated normal distribution and constant biases."""
    normal = graph.truncated_normal_initializer(stddev=deviation)
    weights = graph.get_variable(f"{name}/weights", shape, initializer=normal)
    constant = graph.constant_initializer(bias)
    return weights, graph.get_variable(f"{name}/biases", shape[-1:], initializer=constant)


def convolution(x, weights, biases):
    return tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, weights, strides=1, padding="SAME"), biases))


def pool(x):
    return tf.nn.max_pool2d(x, ksize=3, strides=2, padding="SAME")


def norm(x):
    return tf.nn.local_response_normalization(x, depth_radius=4, bias=1.0, alpha=0.001 / 9.0, beta=0.75)


def dense(x, weights, biases):
    return tf.nn.bias_add(tf.matmul(x, weights), biases)


def loss(images, labels):
    x = norm(pool(convolution(images, *layer("conv1", [5, 5, 3, 64], 0.05, 0.0))))
    x = pool(norm(convolution(x, *layer("conv2", [5, 5, 64, 64], 0.05, 0.1))))
    x = tf.reshape(x, [images.shape[0], 6 * 6 * 64])
    local3, local4 = layer("local3", [6 * 6 * 64, 384], 0.04, 0.1), layer("local4", [384, 192], 0.04, 0.1)
    x = tf.nn.relu(dense(x, *local3))
    x = tf.nn.relu(dense(x, *local4))
    logits = dense(x, *layer("softmax_linear", [192, CLASSES], 1.0 / 192.0, 0.0))
    entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    decay = tf.nn.l2_loss(local3[0]) + tf.nn.l2_loss(local4[0])
    return tf.reduce_mean(entropy) + WEIGHT_DECAY * decay


def step(batch):
    numbers = numpy.random.default_rng(1)
    images = tf.constant(numbers.standard_normal((batch, 24, 24, 3), dtype=numpy.float32))
    labels = tf.constant(numbers.integers(0, CLASSES, batch))
    steps = graph.train.get_or_create_global_step()
    descent = graph.train.GradientDescentOptimizer(0.1).minimize(loss(images, labels), global_step=steps)
    averages = tf.train.ExponentialMovingAverage(0.9999, num_updates=steps)
    with tf.control_dependencies([descent]):
        return averages.apply(graph.trainable_variables())


if __name__ == "__main__":
    run(__doc__, step)
