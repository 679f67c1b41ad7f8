//! Which program trains a cell on GPUs. In: a flavour, what programs say of themselves, and GPUs. Out: the
//! flavour that it comes to, and why a program cannot run on these GPUs. Builds nothing.

use super::{Prepared, flavour, programs};
use crate::flavour::Program;
use crate::flavour::compile::gpus::too_old;
use crate::flavour::identity::Identity;
use crate::flavour::recipe::Recipe;
use crate::machine::Gpu;
use crate::plan::Cell;
use crate::spec::Flavour;
use crate::spec::settings::Settings;
use crate::terms::{Convolution, DeviceKind, Transport};

/// The feature of programs that can use GPUs; and the flavour that has it where `default` has not, built
/// in unless a file declares it.
const CUDA: &str = "cuda";

/// What to do about a flavour that cannot use GPUs.
const ADVICE: &str = "give it `extends = \"cuda\"`, or set devices.kind = \"cpu\"";

impl Prepared {
    /// The name of the flavour that trains a cell on devices of this kind.
    ///
    /// # Errors
    /// What the flavour lacks, where that is known before it is built.
    pub fn trainer(&self, cell: &Cell, kind: DeviceKind) -> Result<String, String> {
        let name = flavour(cell);
        match name.as_str() {
            _ if kind != DeviceKind::Cuda => Ok(name),
            "default" if self.runs_cuda() => Ok(name),
            "default" => Ok(CUDA.to_owned()),
            _ => {
                let flavour = programs::find(&self.experiment, &name);
                let lacking = flavour.as_ref().and_then(lacks_cuda);
                lacking.map_or(Ok(name), Err)
            }
        }
    }

    /// Whether the running program can use GPUs.
    fn runs_cuda(&self) -> bool {
        let own = self.own_program().ok();
        let told = own.and_then(|program| program.told.as_ref());
        told.is_some_and(Identity::has_cuda)
    }
}

/// Why what a flavour asks for cannot train on GPUs, before it is built. What a given binary is, it says
/// itself.
fn lacks_cuda(flavour: &Flavour) -> Option<String> {
    let built = flavour.binary.is_none();
    let has = Recipe::of(flavour)
        .features
        .iter()
        .any(|feature| feature == CUDA);
    (built && !has).then(|| without_cuda(&flavour.name))
}

/// Whether a program of a flavour can train a cell on its GPUs. Nothing is known of one that does not say what
/// it is, and it may try.
///
/// # Errors
/// Why it cannot.
pub(super) fn fits(
    flavour: &str,
    program: &Program,
    gpus: &[&Gpu],
    settings: &Settings,
) -> Result<(), String> {
    let Some(told) = &program.told else {
        return Ok(());
    };
    let refused = refuse(flavour, told, gpus).or_else(|| lacks_library(flavour, told, settings));
    refused.map_or(Ok(()), Err)
}

/// A library that the cell asks for by name.
fn lacks_library(flavour: &str, told: &Identity, settings: &Settings) -> Option<String> {
    let asked = [
        (
            "cudnn",
            "model.convolution",
            settings.convolution == Convolution::Cudnn,
        ),
        (
            "nccl",
            "cluster.transport",
            settings.transport == Transport::Nccl,
        ),
    ];
    let is_missing = |feature: &str| !told.features.iter().any(|has| has == feature);
    let (feature, key, _) =
        (asked.into_iter()).find(|(feature, _, asked)| *asked && is_missing(feature))?;
    Some(format!(
        "flavour {flavour} is built without the feature {feature}, which {key} = \"{feature}\" needs: put its \
         library where the toolkit is or on LIBRARY_PATH, or set {key} = \"auto\""
    ))
}

fn refuse(flavour: &str, told: &Identity, gpus: &[&Gpu]) -> Option<String> {
    if !told.has_cuda() {
        return Some(without_cuda(flavour));
    }
    let cuda = told.cuda?;
    if let Some(why) = too_old(cuda.version, gpus.iter().copied()) {
        return Some(format!("the program of flavour {flavour} is of {why}"));
    }
    let wanted = cuda.compute_capability?;
    let weak = gpus.iter().find_map(|gpu| {
        let capability = gpu.compute_capability.filter(|has| *has < wanted)?;
        Some((gpu, capability))
    });
    let (gpu, capability) = weak?;
    Some(format!(
        "flavour {flavour} was built for compute capability {wanted}, and {} ({}) has {capability}: build it \
         with CUDA_COMPUTE_CAP={}",
        gpu.uuid,
        gpu.name,
        capability.to_string().replace('.', "")
    ))
}

fn without_cuda(flavour: &str) -> String {
    format!("flavour {flavour} is built without the feature cuda, which GPUs need: {ADVICE}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flavour::identity::CudaBuild;
    use crate::terms::ModelName;
    use insta::assert_snapshot;

    fn gpu(cuda: &str, capability: &str) -> Gpu {
        Gpu {
            uuid: "GPU-1".into(),
            name: "Tesla V100".into(),
            driver: "550.1".into(),
            cuda_version: Some(cuda.parse().unwrap()),
            compute_capability: Some(capability.parse().unwrap()),
            ..Gpu::default()
        }
    }

    fn told(features: &[&str], version: Option<&str>) -> Identity {
        Identity {
            features: features.iter().map(|feature| feature.to_string()).collect(),
            cuda: version.map(|version| CudaBuild {
                version: Some(version.parse().unwrap()),
                compute_capability: Some("9.0".parse().unwrap()),
            }),
            ..Identity::default()
        }
    }

    #[test]
    fn a_program_runs_on_gpus_that_it_was_built_for() {
        let fits = told(&["cuda"], Some("12.8"));
        assert_eq!(refuse("f", &fits, &[&gpu("12.8", "9.0")]), None);
        assert_eq!(refuse("f", &fits, &[&gpu("13.0", "12.0")]), None);
        let unknown = told(&["cuda"], None);
        assert_eq!(refuse("f", &unknown, &[&gpu("11.0", "7.0")]), None);
    }

    #[test]
    fn what_a_program_lacks_is_said_with_the_way_out() {
        let reason = |features: &[&str], gpu: Gpu| {
            refuse("f", &told(features, Some("13.0")), &[&gpu]).unwrap()
        };
        assert_snapshot!(reason(&["cuda"], gpu("12.8", "9.0")), @r#"the program of flavour f is of CUDA 13.0, and the driver 550.1 runs CUDA up to 12.8: update the driver, or build with an older toolkit (`cuda = "12.8"` in a flavour)"#);
        assert_snapshot!(reason(&["cuda"], gpu("13.0", "7.0")), @"flavour f was built for compute capability 9.0, and GPU-1 (Tesla V100) has 7.0: build it with CUDA_COMPUTE_CAP=70");
        assert_snapshot!(reason(&["cudnn"], gpu("13.0", "9.0")), @r#"flavour f is built without the feature cuda, which GPUs need: give it `extends = "cuda"`, or set devices.kind = "cpu""#);
    }

    #[test]
    fn a_library_that_a_cell_names_must_be_in_its_program() {
        let lacks = |features: &[&str], convolution, transport| {
            let settings = Settings {
                convolution,
                transport,
                ..Settings::defaults(ModelName::Cifar10)
            };
            lacks_library("f", &told(features, None), &settings)
        };
        assert_eq!(lacks(&["cuda"], Convolution::Auto, Transport::Auto), None);
        let both = &["cuda", "cudnn", "nccl"];
        assert_eq!(lacks(both, Convolution::Cudnn, Transport::Nccl), None);
        assert_snapshot!(lacks(&["cuda"], Convolution::Cudnn, Transport::Auto).unwrap(), @r#"flavour f is built without the feature cudnn, which model.convolution = "cudnn" needs: put its library where the toolkit is or on LIBRARY_PATH, or set model.convolution = "auto""#);
        assert_snapshot!(lacks(&["cudnn"], Convolution::Cudnn, Transport::Nccl).unwrap(), @r#"flavour f is built without the feature nccl, which cluster.transport = "nccl" needs: put its library where the toolkit is or on LIBRARY_PATH, or set cluster.transport = "auto""#);
    }

    #[test]
    fn flavours_are_known_to_lack_cuda_before_they_are_built() {
        let flavour = |definition: &[(&str, &str)], binary: Option<&str>| Flavour {
            name: "f".into(),
            binary: binary.map(Into::into),
            definition: definition
                .iter()
                .map(|(k, v)| (k.to_string(), v.to_string()))
                .collect(),
        };
        assert!(lacks_cuda(&flavour(&[("lto", "fat")], None)).is_some());
        assert!(lacks_cuda(&flavour(&[("binary", "x")], Some("x"))).is_none());
        assert!(lacks_cuda(&flavour(&[("features", r#"["cuda"]"#)], None)).is_none());
        assert!(lacks_cuda(&Flavour::cuda()).is_none());
    }
}
