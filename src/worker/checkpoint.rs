//! Checkpoints of the parameters, in the safetensors format. In: parameters between two steps. Out:
//! files that are there whole or not at all. A step pays for a copy; a thread of its own writes it,
//! and the next copy waits until that is done.

use super::parameters::Parameters;
use anyhow::{Context, Result};
use candle_core::Var;
use safetensors::tensor::{Dtype, TensorView};
use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// The checkpoints of one worker.
pub struct Checkpoints {
    parameters: Arc<Parameters>,
    every: u64,
    /// The global step from which on one is due.
    next: u64,
    writer: Writer,
}

/// The thread that writes, and the memory that it gives back.
struct Writer {
    snapshots: Sender<Snapshot>,
    written: Receiver<Result<Snapshot>>,
    /// None while the thread has it.
    idle: Option<Snapshot>,
    count: u64,
}

/// All parameters after some step, one list of numbers a variable.
struct Snapshot {
    step: u64,
    numbers: Vec<Vec<f32>>,
}

impl Checkpoints {
    /// Writes to `folder/step-N.safetensors`; the folder is made.
    ///
    /// # Errors
    /// Where the folder or the thread cannot be made.
    pub fn new(parameters: Arc<Parameters>, folder: PathBuf, every: u64) -> Result<Self> {
        fs::create_dir_all(&folder)
            .with_context(|| format!("making the folder {}", folder.display()))?;
        let lengths = parameters.memory().iter().map(|memory| memory.len());
        let idle = Snapshot {
            step: 0,
            numbers: lengths.map(|length| vec![0.0; length]).collect(),
        };
        let writer = Writer::start(parameters.variables().to_vec(), folder, idle)?;
        Ok(Self {
            parameters,
            every,
            next: every,
            writer,
        })
    }

    /// Whether the parameters of this global step are to be kept.
    pub fn due(&self, step: u64) -> bool {
        step >= self.next
    }

    /// Copies the parameters and lets them be written.
    ///
    /// # Errors
    /// Where the one before could not be written.
    pub fn take(&mut self, step: u64) -> Result<()> {
        let mut snapshot = self.writer.idle()?;
        snapshot.step = step;
        self.parameters
            .visit(|at, numbers| snapshot.numbers[at].copy_from_slice(numbers))?;
        self.next = (step / self.every + 1) * self.every;
        self.writer
            .snapshots
            .send(snapshot)
            .context("the thread that writes checkpoints has ended")
    }

    /// Waits until the last one is written, and says how many there are.
    ///
    /// # Errors
    /// Where it could not be written.
    pub fn finish(mut self) -> Result<u64> {
        self.writer.idle()?;
        Ok(self.writer.count)
    }
}

impl Writer {
    fn start(variables: Vec<(String, Var)>, folder: PathBuf, idle: Snapshot) -> Result<Self> {
        let (snapshots, received) = channel::<Snapshot>();
        let (done, written) = channel();
        let write = move || {
            for snapshot in received {
                let path = folder.join(format!("step-{}.safetensors", snapshot.step));
                let result = save(&variables, &snapshot, &path)
                    .with_context(|| format!("writing the checkpoint {}", path.display()));
                // Who no longer listens has ended, and this thread with it.
                let _ = done.send(result.map(|()| snapshot));
            }
        };
        std::thread::Builder::new()
            .name("checkpoints".into())
            .spawn(write)
            .context("starting the thread that writes checkpoints")?;
        Ok(Self {
            snapshots,
            written,
            idle: Some(idle),
            count: 0,
        })
    }

    /// The memory for a copy, once the thread has written the one before.
    fn idle(&mut self) -> Result<Snapshot> {
        if let Some(idle) = self.idle.take() {
            return Ok(idle);
        }
        let written = self.written.recv();
        let snapshot = written.context("the thread that writes checkpoints has ended")??;
        self.count += 1;
        Ok(snapshot)
    }
}

/// Under another name until everything is on the disk.
fn save(variables: &[(String, Var)], snapshot: &Snapshot, path: &Path) -> Result<()> {
    let mut tensors = Vec::with_capacity(variables.len());
    for ((name, variable), numbers) in variables.iter().zip(&snapshot.numbers) {
        let bytes = bytemuck::cast_slice(numbers);
        let view = TensorView::new(Dtype::F32, variable.dims().to_vec(), bytes)?;
        tensors.push((name.as_str(), view));
    }
    let about = HashMap::from([("global_step".to_owned(), snapshot.step.to_string())]);
    let unfinished = path.with_extension("unfinished");
    safetensors::serialize_to_file(tensors, Some(about), &unfinished)?;
    File::open(&unfinished)?.sync_all()?;
    fs::rename(&unfinished, path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn a_checkpoint_has_the_parameters_of_its_step() {
        let folder = tempfile::tempdir().unwrap();
        let variable = Var::from_vec(vec![1f32, 2.0, 3.0, 4.0], (2, 2), &Device::Cpu).unwrap();
        let parameters = Parameters::new(&[("w".to_owned(), variable.clone())]).unwrap();
        let mut checkpoints =
            Checkpoints::new(Arc::new(parameters), folder.path().join("c"), 5).unwrap();
        assert!(!checkpoints.due(4) && checkpoints.due(5) && checkpoints.due(7));
        checkpoints.take(7).unwrap();
        assert!(!checkpoints.due(9) && checkpoints.due(10));
        variable.set(&variable.zeros_like().unwrap()).unwrap();
        checkpoints.take(10).unwrap();
        assert_eq!(checkpoints.finish().unwrap(), 2);
        let load = |step: u64| {
            let path = folder.path().join(format!("c/step-{step}.safetensors"));
            let tensors = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
            tensors["w"].to_vec2::<f32>().unwrap()
        };
        assert_eq!(load(7), [[1.0, 2.0], [3.0, 4.0]]);
        assert_eq!(load(10), [[0.0, 0.0], [0.0, 0.0]]);
        let left = fs::read_dir(folder.path().join("c")).unwrap().count();
        assert_eq!(left, 2, "nothing unfinished is left");
    }

    #[test]
    fn a_checkpoint_that_cannot_be_written_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let variable = Var::from_vec(vec![1f32], 1, &Device::Cpu).unwrap();
        let parameters = Parameters::new(&[("w".to_owned(), variable)]).unwrap();
        let place = folder.path().join("c");
        let mut checkpoints = Checkpoints::new(Arc::new(parameters), place.clone(), 1).unwrap();
        fs::remove_dir(&place).unwrap();
        fs::write(&place, "a file in the folder's place").unwrap();
        checkpoints.take(1).unwrap();
        let error = checkpoints.finish().unwrap_err();
        assert!(error.to_string().starts_with("writing the checkpoint"));
    }
}
