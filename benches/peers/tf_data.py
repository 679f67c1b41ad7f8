"""Peer of the input pipeline: the tutorial's distortion in tf.data, with a shuffle buffer, into batches.

Records lie in memory as in CIFAR-10's binary files: a label and three planes of 32 rows of 32 bytes.
"""
import argparse
import json
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy
import tensorflow as tf

BATCH = 128
RECORDS = 10_000
BUFFER = 20_000


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--windows", type=int, default=10, help="how many rates are printed")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a window")
    return parser.parse_args()


def distort(record):
    label = tf.cast(record[0], tf.int32)
    planes = tf.reshape(record[1:], [3, 32, 32])
    image = tf.cast(tf.transpose(planes, [1, 2, 0]), tf.float32)
    image = tf.image.random_crop(image, [24, 24, 3])
    image = tf.image.random_flip_left_right(image)
    image = tf.image.random_brightness(image, max_delta=63)
    image = tf.image.random_contrast(image, lower=0.2, upper=1.8)
    return tf.image.per_image_standardization(image), label


def batches(threads):
    bytes_of = numpy.random.default_rng(1).integers(0, 256, (RECORDS, 1 + 3 * 32 * 32), dtype=numpy.uint8)
    bytes_of[:, 0] %= 10
    records = tf.constant(bytes_of)
    options = tf.data.Options()
    options.threading.private_threadpool_size = threads
    # The order within the buffer is random anyway, so no example waits for another.
    options.deterministic = False
    return (
        tf.data.Dataset.range(RECORDS)
        .shuffle(RECORDS)
        .repeat()
        .map(lambda number: distort(records[number]), num_parallel_calls=threads)
        .shuffle(BUFFER)
        .batch(BATCH, drop_remainder=True)
        .prefetch(2)
        .with_options(options)
    )


def rate(iterator, seconds):
    """Examples per second of batches taken for `seconds`."""
    start = time.perf_counter()
    taken, elapsed = 0, 0.0
    while elapsed < seconds:
        next(iterator)
        taken += BATCH
        elapsed = time.perf_counter() - start
    return taken / elapsed


def main():
    asked = arguments()
    for pool in [tf.config.threading.set_intra_op_parallelism_threads, tf.config.threading.set_inter_op_parallelism_threads]:
        pool(asked.threads)
    iterator = iter(batches(asked.threads))
    rate(iterator, asked.seconds)  # The first batch waits until the shuffle buffer is full.
    rates = [rate(iterator, asked.seconds) for _ in range(asked.windows)]
    line = {"program": "tf.data", "version": tf.__version__, "batch": BATCH, "threads": asked.threads}
    print(json.dumps(line | {"examples_per_second": rates}), flush=True)


if __name__ == "__main__":
    main()
