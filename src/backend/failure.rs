//! Panics of the backends, turned into errors.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

#[cfg(any(feature = "libtorch", feature = "cuda"))]
use burn::tensor::{Device, Tensor};

#[cfg(any(feature = "libtorch", feature = "cuda"))]
use crate::error::PROBE;
use crate::error::{Error, Result, is_thrown, panic_message};

/// Runs `work` and turns an exception of libtorch into an error. Other panics continue.
///
/// # Errors
/// Those of `work`, and [`Error::Failed`].
pub fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let message = panic_message(&*panic);
        if is_thrown(&message) { Err(Error::Failed(explain(&message))) } else { resume_unwind(panic) }
    })
}

/// `device` if it can add two numbers, otherwise an error with the `sentence` for its exception.
#[cfg(any(feature = "libtorch", feature = "cuda"))]
pub(super) fn probed(device: Device, sentence: impl FnOnce(String) -> String) -> Result<Device> {
    let on = device.clone();
    let sum = move || Tensor::<1>::ones([2], &on).sum().into_scalar::<f32>();
    let answer = std::thread::Builder::new().name(PROBE.into()).spawn(sum).map(std::thread::JoinHandle::join);
    match answer {
        Ok(Ok(_)) => Ok(device),
        Ok(Err(panic)) => Err(Error::Device(sentence(explain(&panic_message(&*panic))))),
        Err(e) => Err(Error::Device(sentence(e.to_string()))),
    }
}

/// A backend's panic as one sentence, with a remedy if one is known.
pub fn explain(panic: &str) -> String {
    // tch quotes libtorch's exception, whose first line the C++ stack follows.
    let thrown = match panic.split_once("Torch(\"") {
        Some((_, quoted)) => quoted.strip_suffix("\")").unwrap_or(quoted),
        None => panic,
    };
    let first = thrown.lines().next().unwrap_or_default();
    let first = first.split("\\n").next().unwrap_or_default().trim_end_matches('.');
    match first {
        _ if first.contains("out of memory") || first.contains("can't allocate memory") => {
            format!("the device ran out of memory ({first}); reduce train.batch, K or the EM steps")
        }
        _ if first.contains("CUDA") => {
            format!("the GPU failed ({first}); check it with `nvidia-smi`, or choose --device libtorch")
        }
        _ => first.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libtorch_throws_becomes_a_sentence() {
        let thrown = "called `Result::unwrap()` on an `Err` value: Torch(\"CUDA out of memory. Tried to allocate \
                      2.00 GiB. GPU 0 has a total capacity of 79.00 GiB.\\nException raised from malloc at \
                      CUDACachingAllocator.cpp:1\\nframe #0: c10::Error\")";
        let sentence = explain(thrown);
        assert!(
            sentence.starts_with("the device ran out of memory (CUDA out of memory. Tried"),
            "{sentence}"
        );
        assert!(sentence.ends_with("EM steps") && !sentence.contains("frame"), "{sentence}");
        let lost = explain(
            "called `Result::unwrap()` on an `Err` value: Torch(\"CUDA error: an illegal memory \
                            access was encountered\\nCUDA kernel errors\")",
        );
        assert!(lost.starts_with("the GPU failed (CUDA error: an illegal memory access"), "{lost}");
        let cpu = explain(
            "called `Result::unwrap()` on an `Err` value: Torch(\"[enforce fail at alloc_cpu.cpp:124] err == 0. \
             DefaultCPUAllocator: can't allocate memory: you tried to allocate 77070336 bytes. Error code 12 \
             (Cannot allocate memory)\\nframe #0\")",
        );
        assert!(
            cpu.starts_with("the device ran out of memory (") && cpu.contains("(Cannot allocate memory));"),
            "{cpu}"
        );
        assert_eq!(explain("index out of bounds"), "index out of bounds");
    }

    #[test]
    fn what_is_thrown_becomes_an_error_and_what_is_a_bug_stays_a_panic() {
        let thrown = caught::<()>(|| panic!("called `Result::unwrap()`: Torch(\"CUDA out of memory.\")"));
        assert!(matches!(thrown, Err(Error::Failed(sentence)) if sentence.contains("reduce train.batch")));
        assert!(catch_unwind(|| caught::<()>(|| panic!("a bug"))).is_err());
    }
}
