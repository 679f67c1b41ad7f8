//! Tensors as RPC systems send them: a message of tagged fields, as protocol buffers write it, with
//! the numbers as one of its fields. It costs a copy into the message and one out of it on each side,
//! which is what `encoding = "serialised"` is for: an experiment sees what that alone costs.
//!
//! ```text
//! 08 01              field 1, varint: type of the numbers, 1 = f32
//! 12 n  <varint…>    field 2, n bytes: dimensions
//! 22 n  <bytes…>     field 4, n bytes: the numbers
//! ```

use anyhow::{Context, Result, bail, ensure};

const TYPE: u64 = 1 << 3;
const DIMENSIONS: u64 = (2 << 3) | 2;
const CONTENT: u64 = (4 << 3) | 2;
const F32: u64 = 1;

/// Bytes of the message of so many numbers.
pub fn length(numbers: usize) -> usize {
    let content = numbers * size_of::<f32>();
    let dimensions = varint_length(numbers as u64);
    2 + 1
        + varint_length(dimensions as u64)
        + dimensions
        + 1
        + varint_length(content as u64)
        + content
}

/// The message of these numbers.
pub fn encode(numbers: &[f32]) -> Vec<u8> {
    let content: &[u8] = bytemuck::cast_slice(numbers);
    let mut message = Vec::with_capacity(length(numbers.len()));
    put_varint(&mut message, TYPE);
    put_varint(&mut message, F32);
    put_varint(&mut message, DIMENSIONS);
    put_varint(&mut message, varint_length(numbers.len() as u64) as u64);
    put_varint(&mut message, numbers.len() as u64);
    put_varint(&mut message, CONTENT);
    put_varint(&mut message, content.len() as u64);
    message.extend_from_slice(content);
    message
}

/// Reads a message, and copies its numbers.
///
/// # Errors
/// Where it is no message of `into.len()` numbers.
pub fn decode(message: &[u8], into: &mut [f32]) -> Result<()> {
    let tensor = Tensor::parse(message).context("decoding a tensor")?;
    ensure!(
        tensor.dimensions == [into.len() as u64] && tensor.content.len() == size_of_val(into),
        "a tensor of {:?} numbers in {} bytes came where {} numbers are due",
        tensor.dimensions,
        tensor.content.len(),
        into.len()
    );
    bytemuck::cast_slice_mut(into).copy_from_slice(&tensor.content);
    Ok(())
}

/// What a message says, in memory of its own.
#[derive(Default)]
struct Tensor {
    dimensions: Vec<u64>,
    content: Vec<u8>,
}

impl Tensor {
    fn parse(message: &[u8]) -> Result<Self> {
        let mut tensor = Self::default();
        let mut left = message;
        while !left.is_empty() {
            match varint(&mut left)? {
                TYPE => {
                    let kind = varint(&mut left)?;
                    ensure!(kind == F32, "numbers of type {kind}");
                }
                DIMENSIONS => {
                    let mut field = field(&mut left)?;
                    while !field.is_empty() {
                        tensor.dimensions.push(varint(&mut field)?);
                    }
                }
                CONTENT => tensor.content = field(&mut left)?.to_vec(),
                tag => bail!("a field with the unknown tag {tag}"),
            }
        }
        Ok(tensor)
    }
}

/// Takes a field with its length before it.
fn field<'a>(left: &mut &'a [u8]) -> Result<&'a [u8]> {
    let length = usize::try_from(varint(left)?)?;
    let (field, rest) = left
        .split_at_checked(length)
        .with_context(|| format!("a field of {length} bytes where {} are left", left.len()))?;
    *left = rest;
    Ok(field)
}

/// Takes a number that is written in groups of 7 bits, the lowest first.
fn varint(left: &mut &[u8]) -> Result<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = left.split_first().context("the message ends too early")?;
        *left = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    bail!("a number of more than 64 bits")
}

fn put_varint(message: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        message.push(number as u8 | 0x80);
        number >>= 7;
    }
    message.push(number as u8);
}

fn varint_length(number: u64) -> usize {
    (64 - (number | 1).leading_zeros() as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(numbers in prop::collection::vec(-1e9f32..1e9, 0..400)) {
            let message = encode(&numbers);
            prop_assert_eq!(message.len(), length(numbers.len()));
            let mut back = vec![0.0; numbers.len()];
            decode(&message, &mut back).unwrap();
            prop_assert_eq!(back, numbers);
        }

        #[test]
        fn nonsense_is_refused_without_a_panic(message in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(decode(&message, &mut [0.0; 16]).is_err());
        }

        #[test]
        fn a_message_that_was_cut_is_refused(keep in 0usize..71) {
            let message = encode(&[1.5; 16]);
            prop_assert_eq!(message.len(), 71);
            prop_assert!(decode(&message[..keep], &mut [0.0; 16]).is_err());
        }
    }

    #[test]
    fn the_bytes_are_those_of_protocol_buffers() {
        let message = encode(&[1.0]);
        assert_eq!(message, [0x08, 1, 0x12, 1, 1, 0x22, 4, 0, 0, 0x80, 0x3f]);
    }

    #[test]
    fn a_tensor_of_another_length_or_type_is_refused() {
        let error = decode(&encode(&[1.0; 3]), &mut [0.0; 4]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a tensor of [3] numbers in 12 bytes came where 4 numbers are due"
        );
        let mut message = encode(&[1.0]);
        message[1] = 2;
        let error = decode(&message, &mut [0.0]).unwrap_err();
        assert_eq!(format!("{error:#}"), "decoding a tensor: numbers of type 2");
    }
}
