//! Every level against plain arithmetic.

use super::*;

/// Two arrays of inputs; one line of outputs for each operation that is exact at every level.
struct Exact<'a> {
    a: &'a [f32],
    b: &'a [f32],
}

impl Kernel<f32> for Exact<'_> {
    type Output = Vec<Vec<f32>>;

    #[inline(always)]
    fn run<V: Vector<Element = f32>>(self) -> Self::Output {
        let mut lines = vec![vec![0.0; self.a.len()]; 9];
        let mut bytes = vec![0u8; self.a.len()];
        for at in (0..self.a.len()).step_by(V::LANES) {
            // SAFETY: all arrays have a multiple of sixteen numbers.
            unsafe {
                let (a, b) = (
                    V::load(self.a.as_ptr().add(at)),
                    V::load(self.b.as_ptr().add(at)),
                );
                a.max(b).store_bytes(bytes.as_mut_ptr().add(at));
                let results = [
                    a.add(b),
                    a.sub(b),
                    a.mul(b),
                    a.mul_add(b, a),
                    a.max(b),
                    a.square_root(),
                    a.div(b),
                    a.select(a.greater(b), b.select(a.equal(b), V::splat(-1.0))),
                    V::load_bytes(bytes.as_ptr().add(at)),
                ];
                for (line, result) in lines.iter_mut().zip(results) {
                    result.store(line.as_mut_ptr().add(at));
                }
            }
        }
        lines
    }
}

#[test]
fn every_level_computes_the_same() {
    // Small whole numbers: products and sums are exact whether they are rounded once or twice.
    let a: Vec<f32> = (0..32).map(|i| (i * 7 % 32) as f32).collect();
    let b: Vec<f32> = (0..32).map(|i| (i * 11 % 31 + 1) as f32).collect();
    let each = |f: &dyn Fn(f32, f32) -> f32| -> Vec<f32> {
        a.iter().zip(&b).map(|(a, b)| f(*a, *b)).collect()
    };
    let expected = [
        each(&|a, b| a + b),
        each(&|a, b| a - b),
        each(&|a, b| a * b),
        each(&|a, b| a * b + a),
        each(&f32::max),
        each(&|a, _| a.sqrt()),
        each(&|a, b| a / b),
        each(&|a, b| if a >= b { a } else { -1.0 }),
        each(&f32::max),
    ];
    for level in Level::available() {
        let lines = level.run(Exact { a: &a, b: &b });
        assert_eq!(lines, expected, "{level:?}");
    }
}

struct Parts<'a>(&'a [f32]);

impl Kernel<f32> for Parts<'_> {
    /// For each number of lanes what a partial load and a partial store give, and the sum of all lanes.
    type Output = Vec<(usize, Vec<f32>, Vec<f32>, f32)>;

    #[inline(always)]
    fn run<V: Vector<Element = f32>>(self) -> Self::Output {
        let mut seen = Vec::new();
        for count in 0..=V::LANES {
            let mut loaded = vec![9.0; V::LANES];
            let mut stored = vec![9.0; V::LANES];
            // SAFETY: all arrays have at least `LANES` numbers.
            unsafe {
                let part = V::load_first(self.0.as_ptr(), count);
                part.store(loaded.as_mut_ptr());
                V::splat(1.0).store_first(stored.as_mut_ptr(), count);
                let mut bytes = [9; 16];
                part.store_first_bytes(bytes.as_mut_ptr(), count);
                let mut widened = vec![9.0; V::LANES];
                V::load_first_bytes(bytes.as_ptr(), count).store(widened.as_mut_ptr());
                assert_eq!(widened, loaded);
                assert_eq!(bytes[count..], [9; 16][count..]);
                seen.push((count, loaded, stored, part.sum()));
            }
        }
        seen
    }
}

#[test]
fn partial_loads_and_stores_touch_their_lanes_only() {
    let numbers: Vec<f32> = (1..=16).map(|i| i as f32).collect();
    for level in Level::available() {
        for (count, loaded, stored, sum) in level.run(Parts(&numbers)) {
            let lanes = loaded.len();
            let mut expected = numbers[..count].to_vec();
            assert_eq!(sum, expected.iter().sum::<f32>(), "{level:?}, {count}");
            expected.resize(lanes, 0.0);
            assert_eq!(loaded, expected, "{level:?}, {count}");
            let mut expected = vec![1.0; count];
            expected.resize(lanes, 9.0);
            assert_eq!(stored, expected, "{level:?}, {count}");
        }
    }
}

#[repr(align(64))]
struct Lines([f32; 64]);

struct Streams<'a>(&'a mut Lines);

impl Kernel<f32> for Streams<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Element = f32>>(self) {
        let numbers = &mut self.0.0;
        for at in (0..numbers.len()).step_by(V::LANES) {
            V::prefetch(numbers.as_ptr().wrapping_add(at));
            // SAFETY: the array has a multiple of sixteen numbers and starts at a cache line.
            unsafe { V::splat(at as f32).stream(numbers.as_mut_ptr().add(at)) };
        }
        V::fence();
    }
}

#[test]
fn streams_arrive() {
    for level in Level::available() {
        let mut lines = Lines([-1.0; 64]);
        level.run(Streams(&mut lines));
        let lanes = 1 + lines.0.iter().skip(1).take_while(|x| **x == 0.0).count();
        let expected = |i: usize| (i / lanes * lanes) as f32;
        assert!((0..64).all(|i| lines.0[i] == expected(i)), "{level:?}");
    }
}

struct Roots<'a>(&'a [f32]);

impl Kernel<f32> for Roots<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run<V: Vector<Element = f32>>(self) -> Vec<f32> {
        let mut roots = vec![0.0; self.0.len()];
        for at in (0..roots.len()).step_by(V::LANES) {
            // SAFETY: both arrays have a multiple of sixteen numbers.
            unsafe {
                let x = V::load(self.0.as_ptr().add(at));
                x.reciprocal_root().store(roots.as_mut_ptr().add(at));
            }
        }
        roots
    }
}

#[test]
fn reciprocal_roots_are_right_to_the_last_digits() {
    let numbers: Vec<f32> = (0..16_000).map(|i| 1e-6 * 1.002f32.powi(i)).collect();
    for level in Level::available() {
        for (x, root) in numbers.iter().zip(level.run(Roots(&numbers))) {
            let error = f64::from(root) * f64::from(*x).sqrt() - 1.0;
            assert!(error.abs() < 4e-7, "{level:?}: 1/√{x} is off by {error}");
        }
    }
}

#[test]
fn matrices_of_any_size_are_transposed() {
    let from: Vec<f32> = (0..40 * 50).map(|i| i as f32).collect();
    for level in Level::available() {
        for (rows, columns) in [(1, 1), (4, 4), (16, 16), (7, 33), (40, 3), (35, 50), (0, 5)] {
            let mut to = vec![-1.0; 50 * 41];
            level.run(transpose::Transpose {
                from: &from,
                from_stride: 50,
                rows,
                columns,
                to: &mut to,
                to_stride: 41,
            });
            for (at, number) in to.into_iter().enumerate() {
                let (column, row) = (at / 41, at % 41);
                let within = row < rows && column < columns;
                let expected = if within {
                    from[row * 50 + column]
                } else {
                    -1.0
                };
                assert_eq!(
                    number, expected,
                    "{level:?}: {row}, {column} of {rows}x{columns}"
                );
            }
        }
    }
}
