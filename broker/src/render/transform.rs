//! `output.transform`: steps applied to a value in order.

use base64::{
    Engine as _,
    alphabet::STANDARD as ALPHABET,
    engine::{
        GeneralPurpose, GeneralPurposeConfig,
        general_purpose::{PAD, STANDARD},
    },
};
use keyward_crds::akvs::Transform;
use keyward_types::SecretBytes;
use zeroize::Zeroizing;

use super::{RenderError, bounded};

/// What akv2k8s accepts: padding is required, stray bits in the last character are not looked at.
const DECODER: GeneralPurpose =
    GeneralPurpose::new(&ALPHABET, GeneralPurposeConfig::with_decode_allow_trailing_bits(PAD, true));

/// Applies every step. An empty or oversize result of any of them is refused.
pub(super) fn apply(value: &SecretBytes, steps: &[Transform]) -> Result<SecretBytes, RenderError> {
    steps.iter().try_fold(bounded(value.clone())?, |value, step| bounded(apply_one(&value, *step)?))
}

fn apply_one(value: &SecretBytes, step: Transform) -> Result<SecretBytes, RenderError> {
    match step {
        Transform::Trim => Ok(match value.expose_str() {
            Some(text) => SecretBytes::from(text.trim()),
            None => SecretBytes::new(value.expose().trim_ascii()),
        }),
        Transform::Base64Encode => Ok(STANDARD.encode(value.expose()).into()),
        Transform::Base64Decode => {
            let mut packed = Zeroizing::new(Vec::with_capacity(value.len()));
            packed.extend(value.expose().iter().filter(|byte| !matches!(byte, b'\r' | b'\n')));
            DECODER.decode(packed.as_slice()).map(SecretBytes::new).map_err(|_| RenderError::NotBase64)
        }
    }
}

#[cfg(test)]
mod tests {
    use Transform::{Base64Decode, Base64Encode, Trim};

    use super::*;

    #[test]
    fn steps_are_applied_in_order() {
        let cases: [(&[u8], &[Transform], &[u8]); 9] = [
            (b" kwcanary\n", &[], b" kwcanary\n"),
            (b" \tkw canary\r\n", &[Trim], b"kw canary"),
            ("\u{a0}kwcanary\u{2003}".as_bytes(), &[Trim], b"kwcanary"),
            (b" \xff ", &[Trim], b"\xff"),
            (b"kwcanary", &[Base64Encode], b"a3djYW5hcnk="),
            (b"a3djYW5h\r\ncnk=\n", &[Base64Decode], b"kwcanary"),
            (b"/+8=", &[Base64Decode], b"\xff\xef"),
            (b" a3djYW5hcnk= ", &[Trim, Base64Decode], b"kwcanary"),
            (b" x ", &[Base64Encode, Base64Decode, Trim], b"x"),
        ];
        for (value, steps, expected) in cases {
            assert_eq!(apply(&SecretBytes::new(value), steps).unwrap().expose(), expected, "{steps:?}");
        }
    }

    #[test]
    fn what_is_not_standard_base64_is_refused() {
        for value in ["kwcanary!", "a3djYW5hcnk", " a3djYW5hcnk=", "_-8="] {
            assert_eq!(apply(&value.into(), &[Base64Decode]), Err(RenderError::NotBase64), "{value}");
        }
    }

    #[test]
    fn an_empty_result_is_refused() {
        for (value, steps) in [("", &[][..]), (" \n", &[Trim]), ("\n", &[Base64Decode])] {
            assert_eq!(apply(&value.into(), steps), Err(RenderError::Empty), "{steps:?}");
        }
    }

    #[test]
    fn growth_is_bounded_at_every_step() {
        let steps = [Base64Encode; 200];
        assert_eq!(apply(&"kwcanary".into(), &steps), Err(RenderError::TooLarge));
    }
}
