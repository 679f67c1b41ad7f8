//! What tells one build of the program from another: rows of different identities are never mixed.

use sha2::{Digest, Sha256};
use std::io::{self, Read};

/// Of this program: a hash of sources, lock file, features, profile, compiler flags and compiler,
/// made at build time. `source:` and 16 hexadecimal digits.
pub const RUNNING: &str = env!("BUILD_IDENTITY");

/// Of a program whose sources are unknown: `sha256:` and the first 16 hexadecimal digits of the
/// SHA-256 of its contents, as `sha256sum` prints them.
pub fn of_contents(mut file: impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hash.update(&buffer[..read]),
        }
    }
    let digits: String = hash.finalize()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(format!("sha256:{digits}"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn contents_hash_as_sha256sum_prints() {
        // `printf abc | sha256sum`, FIPS 180-4 example.
        let identity = super::of_contents(&b"abc"[..]).unwrap();
        assert_eq!(identity, "sha256:ba7816bf8f01cfea");
    }
}
