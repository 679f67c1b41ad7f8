"""A training step as a graph of TensorFlow 1, as the tutorials that xrun follows wrote it."""
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import tensorflow

import peer

graph = tensorflow.compat.v1
graph.disable_eager_execution()


def run(about, build):
    """Times the operation that `build(batch)` returns."""
    asked = peer.arguments(about)
    operation = build(asked.batch)
    pools = graph.ConfigProto(
        intra_op_parallelism_threads=asked.threads, inter_op_parallelism_threads=asked.threads
    )
    with graph.Session(config=pools) as session:
        session.run(graph.global_variables_initializer())
        # A callable has its feeds and fetches resolved once, not in every step.
        peer.measure("tensorflow", tensorflow.__version__, asked, session.make_callable(operation))
