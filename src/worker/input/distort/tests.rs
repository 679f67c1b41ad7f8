use super::super::super::layer::simd::Level;
use super::*;
use proptest::prelude::*;

/// The tutorial's steps, one after the other, in f64.
pub fn step_by_step(image: &[u8; IMAGE_BYTES], distortion: &Distortion) -> Vec<f64> {
    let mut values = vec![0.0; LENGTH];
    for (index, value) in values.iter_mut().enumerate() {
        let (row, column) = (index / CHANNELS / CROP, index / CHANNELS % CROP);
        let column = if distortion.flip {
            CROP - 1 - column
        } else {
            column
        };
        let byte =
            (index % CHANNELS * SIDE + distortion.top + row) * SIDE + distortion.left + column;
        *value = f64::from(image[byte]) + f64::from(distortion.brightness);
    }
    for channel in 0..CHANNELS {
        let of_channel = || (channel..LENGTH).step_by(CHANNELS);
        let mean = of_channel().map(|i| values[i]).sum::<f64>() / PIXELS as f64;
        for i in of_channel() {
            values[i] = (values[i] - mean) * f64::from(distortion.contrast) + mean;
        }
    }
    let mean = values.iter().sum::<f64>() / LENGTH as f64;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / LENGTH as f64;
    let deviation = variance.sqrt().max(least_deviation());
    values.iter().map(|v| (v - mean) / deviation).collect()
}

/// The fused distortion; every level must give the same bits.
fn fused(image: &[u8; IMAGE_BYTES], distortion: &Distortion) -> Vec<f32> {
    let (mut distorted, mut values) = (Distorted::default(), Values::default());
    distorted.take(image, distortion);
    distorted.append(&mut values);
    let values = Vec::from(values);
    for level in Level::available() {
        assert_eq!(at(level, image, distortion), values, "{level:?}");
    }
    values
}

fn at(level: Level, image: &[u8; IMAGE_BYTES], distortion: &Distortion) -> Vec<f32> {
    let mut distorted = Distorted::default();
    let sums = level.run(Crop {
        image,
        distortion,
        bytes: &mut distorted.bytes,
    });
    distorted.affine = Affine::new(&sums, f64::from(distortion.contrast));
    let mut out = [MaybeUninit::new(f32::NAN); LENGTH];
    level.run(Standardise {
        image: &distorted,
        out: &mut out,
    });
    // SAFETY: every value was initialised with NaN.
    out.iter()
        .map(|value| unsafe { value.assume_init() })
        .collect()
}

/// The largest difference between the fused distortion and the steps.
fn difference(image: &[u8; IMAGE_BYTES], distortion: &Distortion) -> f64 {
    let steps = step_by_step(image, distortion);
    let differences = fused(image, distortion)
        .into_iter()
        .zip(steps)
        .map(|(a, b)| (f64::from(a) - b).abs());
    // A NaN must not be lost in a maximum.
    differences.fold(0.0, |max, d| if d <= max { max } else { d })
}

fn noise(low: u8, range: u8) -> impl Strategy<Value = Box<[u8; IMAGE_BYTES]>> {
    any::<u64>().prop_map(move |seed| {
        let mut draws = Draws::new(seed, Use::Record, 0);
        let mut byte = || low + draws.below(usize::from(range) + 1) as u8;
        Box::new(std::array::from_fn(|_| byte()))
    })
}

proptest! {
    #[test]
    fn fused_equals_the_steps(image in noise(0, 255), seed: u64, number: u64) {
        prop_assert!(difference(&image, &Distortion::draw(seed, number)) < 1e-5);
    }

    /// Little contrast on a bright ground is where sums in f32 would cancel.
    #[test]
    fn fused_equals_the_steps_on_flat_images(image in noise(250, 2), number: u64) {
        prop_assert!(difference(&image, &Distortion::draw(1, number)) < 1e-5);
    }
}

#[test]
fn values_follow_what_a_batch_holds() {
    let (mut distorted, mut values) = (Distorted::default(), Values::Own(vec![7.0; 5]));
    distorted.take(&[9; IMAGE_BYTES], &Distortion::draw(1, 5));
    distorted.append(&mut values);
    distorted.append(&mut values);
    assert_eq!(values[..5], [7.0; 5]);
    assert_eq!(values[5..], [0.0; 2 * LENGTH]);
}

#[test]
fn a_constant_image_becomes_zero() {
    for value in [0, 1, 77, 255] {
        let out = fused(&[value; IMAGE_BYTES], &Distortion::draw(1, 5));
        assert_eq!(out, [0.0; LENGTH]);
    }
}

#[test]
fn one_odd_pixel_is_divided_by_the_least_deviation() {
    let distortion = Distortion {
        top: 0,
        left: 0,
        flip: false,
        brightness: 0.0,
        contrast: 0.2,
    };
    let mut image = [100; IMAGE_BYTES];
    image[0] = 101;
    let out = fused(&image, &distortion);
    assert!(difference(&image, &distortion) < 1e-5);
    // Its deviation, 0.2 / sqrt(1728) at most, is below the bound of 1 / sqrt(1728).
    assert!((f64::from(out[0] - out[3]) * least_deviation() - 0.2).abs() < 1e-6);
}

#[test]
fn crop_and_flip_move_pixels_where_they_belong() {
    let mut image = [0; IMAGE_BYTES];
    let (row, column, channel) = (8 + 2, 5 + 3, 1);
    image[(channel * SIDE + row) * SIDE + column] = 255;
    let brightest = |flip| {
        let distortion = Distortion {
            top: 8,
            left: 5,
            flip,
            brightness: 10.0,
            contrast: 1.0,
        };
        let out = fused(&image, &distortion);
        (0..LENGTH)
            .max_by(|a, b| out[*a].total_cmp(&out[*b]))
            .unwrap()
    };
    assert_eq!(brightest(false), (2 * CROP + 3) * CHANNELS + 1);
    assert_eq!(brightest(true), (2 * CROP + CROP - 1 - 3) * CHANNELS + 1);
}

#[test]
fn draws_use_their_whole_range() {
    let draws: Vec<_> = (0..20_000).map(|n| Distortion::draw(1, n)).collect();
    for offset in 0..OFFSETS {
        assert!(draws.iter().any(|d| d.top == offset));
        assert!(draws.iter().any(|d| d.left == offset));
    }
    let share = draws.iter().filter(|d| d.flip).count() as f64 / 20_000.0;
    assert!((share - 0.5).abs() < 0.02, "{share} are flipped");
    let range = |of: fn(&Distortion) -> f32| {
        let values = || draws.iter().map(of);
        (
            values().fold(f32::MAX, f32::min),
            values().fold(f32::MIN, f32::max),
        )
    };
    let (darkest, brightest) = range(|d| d.brightness);
    assert!((-63.0..-62.9).contains(&darkest) && (62.9..63.0).contains(&brightest));
    let (least, most) = range(|d| d.contrast);
    assert!((0.2..0.201).contains(&least) && (1.799..=1.8).contains(&most));
}
