"""Peer of `parameter-server`: the model of `tensorflow_mlp.py` between graphs, through TensorFlow's gRPC servers.

Every worker draws its own inputs, pulls, computes and pushes on its own. Without servers: one process, the rate to hold the others against.
"""
import argparse
import json
import multiprocessing
import os
import socket
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--servers", type=int, default=1, help="0: no cluster")
    parser.add_argument("--batch", type=int, default=128, help="examples of a worker's step")
    parser.add_argument("--threads", type=int, default=1, help="threads of every pool of every process")
    parser.add_argument("--warmup", type=int, default=3, help="steps of each worker that are not timed")
    parser.add_argument("--seconds", type=float, default=8.0, help="for which every worker counts its steps")
    return parser.parse_args()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def cluster(asked):
    if asked.servers == 0:
        return None
    places = lambda count: [f"localhost:{free_port()}" for _ in range(count)]
    return {"ps": places(asked.servers), "worker": places(asked.workers)}


def process(asked, places, job, rank, results):
    """One server, which never ends by itself, or one worker."""
    from tensorflow_mlp import graph, step

    pools = graph.ConfigProto(
        intra_op_parallelism_threads=asked.threads, inter_op_parallelism_threads=asked.threads
    )
    device, master = "/cpu:0", ""
    if places:
        spec = graph.train.ClusterSpec(places)
        server = graph.train.Server(spec, job_name=job, task_index=rank, config=pools)
        if job == "ps":
            server.join()
        device = graph.train.replica_device_setter(worker_device=f"/job:worker/task:{rank}", cluster=spec)
        master = server.target
    with graph.device(device):
        operation = step(asked.batch)
    with graph.train.MonitoredTrainingSession(master=master, is_chief=rank == 0, config=pools) as session:
        for _ in range(asked.warmup):
            session.run(operation)
        start, steps = time.perf_counter(), 0
        while time.perf_counter() - start < asked.seconds:
            session.run(operation)
            steps += 1
        results.put(steps / (time.perf_counter() - start))
        # Others may still need what this process holds.
        time.sleep(2)


def main():
    asked = arguments()
    multiprocessing.set_start_method("spawn")
    places, results = cluster(asked), multiprocessing.Queue()
    jobs = [("ps", rank) for rank in range(asked.servers)] + [("worker", rank) for rank in range(asked.workers)]
    processes = [
        multiprocessing.Process(target=process, args=(asked, places, job, rank, results), daemon=True)
        for job, rank in jobs
    ]
    for each in processes:
        each.start()
    rates = [results.get() for _ in range(asked.workers)]
    for each in processes:
        each.terminate()
    import tensorflow

    line = {"program": "tensorflow", "version": tensorflow.__version__, "steps_per_second": sum(rates), "by_worker": rates}
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
