//! Sizes of parameters that the plan reckons with are those of the models.

use strum::VariantArray;
use xrun::spec::settings::{Settings, parameter_bytes};
use xrun::terms::ModelName;
use xrun::worker::model;

#[test]
fn models_have_the_tensors_that_the_plan_reckons_with() {
    for name in ModelName::VARIANTS.iter().copied() {
        let settings = Settings {
            layers: vec![7, 5, 3],
            channels: vec![2, 4, 3],
            ..Settings::defaults(name)
        };
        let built = model::build(&settings, 1).unwrap();
        let sizes = built.parameters().iter();
        let mut sizes: Vec<u64> = sizes.map(|(_, v)| v.elem_count() as u64).collect();
        let mut told = settings.tensors();
        let bytes = 4 * sizes.iter().sum::<u64>();
        assert_eq!(parameter_bytes(&settings), bytes);
        sizes.sort_unstable();
        told.sort_unstable();
        assert_eq!(told, sizes, "{name}");
    }
}
