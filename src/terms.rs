//! The closed sets of words. One word has one spelling: in TOML, CSV, code, charts and messages.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// Declares an enum whose variants are written in kebab-case everywhere.
macro_rules! term {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[derive(Serialize, Deserialize, Display, EnumString, IntoStaticStr, VariantArray)]
        #[serde(rename_all = "kebab-case")]
        #[strum(serialize_all = "kebab-case")]
        pub enum $name { $($(#[$variant_meta])* $variant),+ }
    };
}

term! {
    /// What a replica trains.
    ModelName {
        /// The network of TensorFlow's CIFAR-10 tutorial.
        Cifar10,
        /// Fully connected layers of the widths in `model.layers`.
        Mlp,
        /// Convolutional LSTM encoder and decoder, a stand-in for a satellite-image network: its sizes
        /// are ours.
        SatSeq2seq,
        /// The null model: takes its batches and computes nothing.
        None,
    }
}

term! {
    /// The rule that turns gradients into an update.
    OptimizerName { Sgd, Adam }
}

term! {
    /// The algorithm of a convolution.
    Convolution {
        /// The fastest that the processor and the layer's shape allow.
        Auto,
        /// Products in registers, straight from images and weights.
        Direct,
        /// Fewer multiplications and larger rounding errors, where the shape allows it; else direct.
        Winograd,
        /// Patches as rows of a matrix.
        Im2col,
        /// What cuDNN finds to be the fastest, on a GPU.
        Cudnn,
    }
}

term! {
    /// Where examples come from.
    InputSource {
        /// The binary files of the CIFAR-10 distribution.
        Cifar10,
        /// Seeded files of the same format, whose labels can be learned.
        Generated,
        /// One batch that stays on the device.
        Resident,
        /// Numbers of the standard normal distribution, drawn by the worker for each step.
        Normal,
        /// Sequences of frames of a field that moves, drawn by the worker for each step.
        MovingFields,
    }
}

term! {
    /// Where something lives: on the host, or on the training device.
    Placement { Host, Device }
}

term! {
    /// How operations of an input pipeline on the device are cut.
    DevicePipeline {
        /// Small operations for each image.
        PerImage,
        /// One operation for a whole batch.
        Batched,
        /// One kernel for the whole pipeline.
        Fused,
    }
}

term! {
    /// How many input pipelines a worker has.
    Pipelines { PerReplica, Shared }
}

term! {
    /// The kind of device that replicas live on, as a file asks for it.
    DeviceKind { Auto, Cpu, Cuda }
}

term! {
    /// How replicas exchange gradients.
    Topology { Single, Replicated, ParameterServer, AllReduce, Independent }
}

term! {
    /// What a process does in a repeat.
    RoleName {
        /// Trains.
        Worker,
        /// Holds parameters and updates them.
        Server,
        /// Measures what memory and transports of the machine can do at most.
        Probe,
    }
}

term! {
    /// Whether a parameter server waits for all workers.
    Update { Async, Sync }
}

term! {
    /// What a reader of a parameter server may see.
    Consistency { Strict, Relaxed }
}

term! {
    /// How parameters are spread over servers.
    Shards { RoundRobin, Greedy, Split }
}

term! {
    /// What carries bytes between processes.
    Transport {
        Auto,
        SharedMemory,
        Unix,
        Tcp,
        /// NVIDIA's library of collective operations, from GPU to GPU.
        Nccl,
    }
}

term! {
    /// How tensors are written on the wire.
    Encoding { Raw, Serialised }
}

term! {
    /// What became of a repeat.
    Outcome {
        Completed,
        /// It ended well and its evidence says that the work was not done.
        WrongResult,
        Failed,
        TimedOut,
        /// It was not tried, since something that it needs is not here.
        Skipped,
    }
}

term! {
    /// A fact that qualifies a completed row.
    Mark {
        /// Something else used the machine.
        Disturbed,
        /// More threads than cores.
        Oversubscribed,
        /// More replicas than devices.
        SharedDevice,
        /// Measured by another program or plan than the present one.
        Stale,
    }
}

term! {
    /// One part of a training step. All phases and what is left over sum to the step.
    Phase {
        /// Waiting for the input pipeline on the host.
        InputWait,
        /// Moving a batch to where the model can use it.
        Copy,
        /// Input operations on the training device.
        Distort,
        /// Taking parameters from servers.
        Pull,
        Forward,
        Backward,
        /// Handing gradients to servers.
        Push,
        /// What replicas and workers do with gradients to average them; within one process, waiting
        /// for others included.
        Exchange,
        /// Waiting for other processes.
        Wait,
        /// Updating parameters.
        Apply,
        /// Copying parameters for a checkpoint; writing them goes on beside the next steps.
        Checkpoint,
    }
}

term! {
    /// What a chart shows.
    ChartKind {
        /// Examples a second over all replicas.
        Scaling,
        Speedup,
        Efficiency,
        /// Where a step goes.
        Phases,
        /// Time of all measured steps.
        Elapsed,
        /// Steps a second of all workers, beside one process.
        Steps,
        /// Bytes a second between processes, beside their ceiling.
        Exchange,
    }
}

impl Phase {
    pub const COUNT: usize = Self::VARIANTS.len();

    /// The name of the phase's column, without its unit: `input_wait`.
    pub fn column(self) -> String {
        self.to_string().replace('-', "_")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_kebab_case_in_every_direction() {
        assert_eq!(Topology::ParameterServer.to_string(), "parameter-server");
        assert_eq!("per-image".parse(), Ok(DevicePipeline::PerImage));
        assert_eq!(
            serde_json::to_string(&Outcome::WrongResult).unwrap(),
            "\"wrong-result\""
        );
        assert_eq!("none".parse(), Ok(ModelName::None));
        assert_eq!(Phase::InputWait.column(), "input_wait");
    }
}
