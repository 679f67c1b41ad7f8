//! What to do about errors of CUDA. In: an error. Out: the same one, with the next step in front of it. It
//! knows CUDA's names of errors, which is what is left of them in the errors of the libraries between.

use anyhow::Error;

/// Beginnings of names, and what to do.
const NEXT_STEPS: [(&[&str], &str); 3] = [
    (
        &["CUDA_ERROR_OUT_OF_MEMORY", "STATUS_ALLOC_FAILED"],
        "the GPU has too little memory: lower model.local_batch, or have fewer replicas on it",
    ),
    (
        &[
            "CUDA_ERROR_DEVICE_UNAVAILABLE",
            "CUDA_ERROR_ECC",
            "CUDA_ERROR_HARDWARE",
            "CUDA_ERROR_ILLEGAL",
            "CUDA_ERROR_LAUNCH_FAILED",
            "CUDA_ERROR_LAUNCH_TIMEOUT",
            "CUDA_ERROR_NOT_INITIALIZED",
            "CUDA_ERROR_NO_DEVICE",
            "CUDA_ERROR_UNKNOWN",
            "STATUS_EXECUTION_FAILED",
        ],
        "the GPU is lost to this process: nvidia-smi says whether it is still there, the kernel's log \
         (Xid) why; the next call measures the cell again",
    ),
    (
        &[
            "CUDA_ERROR_NO_BINARY",
            "CUDA_ERROR_INVALID_PTX",
            "CUDA_ERROR_UNSUPPORTED_PTX",
        ],
        "this program was built for another GPU or a newer driver: build it here, or with the toolkit of \
         this driver",
    ),
];

/// Puts the next step in front of an error of CUDA; others stay as they are.
pub fn advised(error: Error) -> Error {
    let text = format!("{error:#}");
    let fits = |(names, _): &&(&[&str], &str)| names.iter().any(|name| text.contains(name));
    match NEXT_STEPS.iter().find(fits) {
        Some((_, advice)) => error.context(*advice),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn errors_of_cuda_say_what_to_do_next() {
        let said =
            |text: &'static str| format!("{:#}", advised(anyhow!(text).context("in step 3")));
        let full = said("DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")");
        assert!(full.contains("lower model.local_batch"), "{full}");
        assert!(
            full.ends_with("in step 3: DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")")
        );
        for lost in [
            "CUDA_ERROR_ECC_UNCORRECTABLE",
            "CUBLAS_STATUS_EXECUTION_FAILED",
        ] {
            assert!(
                said(lost).starts_with("the GPU is lost to this process"),
                "{lost}"
            );
        }
        assert_eq!(
            said("the loss became NaN"),
            "in step 3: the loss became NaN"
        );
    }
}
