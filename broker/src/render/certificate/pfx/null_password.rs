//! PKCS#12 without any password, which is not the empty one: RFC 7292, B.2 derives keys from a password of length zero
//! instead of its two terminating zero bytes. Key Vault writes such files, and the library tries the empty password only.
//!
//! What is encrypted that way is decrypted here and put back in the clear, without the MAC; the library reads the rest.
//! PBES2 is left to it: there the two passwords are one.

use cbc::cipher::{BlockCipherDecrypt, BlockModeDecrypt, KeyInit, KeyIvInit, block_padding::Pkcs7};
use cms::{cert::x509::spki::AlgorithmIdentifierOwned, content_info::ContentInfo, encrypted_data::EncryptedData};
use der::{
    Any, AnyRef, Decode, Encode, Reader, SliceReader,
    asn1::{ObjectIdentifier, OctetString},
};
use pkcs12::{
    AuthenticatedSafe, MacData,
    kdf::{Pkcs12KeyType, derive_key},
    pbe_params::EncryptedPrivateKeyInfo,
    pfx::Pfx,
    safe_bag::{SafeBag, SafeContents},
};
use ring::hmac;
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use super::CertificateError;

const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
const ENCRYPTED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.6");
const KEY_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.1");
const SHROUDED_KEY_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.2");
const SHA1_3DES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.3");
const SHA1_RC2_40: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.6");
const SHA_1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA_384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA_512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");

const NO_PASSWORD: &[u8] = &[];
/// What the library allows too: more would be work for an attacker's sake.
const MAX_ITERATIONS: i32 = 1_000_000;

/// The same archive in the clear and without its MAC, once that MAC has verified.
pub(super) fn opened(der: &[u8]) -> Result<Zeroizing<Vec<u8>>, CertificateError> {
    let not_pfx = |_: der::Error| CertificateError::NotPfx;
    let mut pfx = Pfx::from_der(der).map_err(not_pfx)?;
    let mac = pfx.mac_data.take().ok_or(CertificateError::NoMac)?;
    if pfx.auth_safe.content_type != DATA || !verifies(&mac, pfx.auth_safe.content.value()) {
        return Err(CertificateError::Password);
    }
    let content = Zeroizing::new(pfx.auth_safe.content.value().to_vec());
    let safes = AuthenticatedSafe::from_der(&content).map_err(not_pfx)?;
    let safes: AuthenticatedSafe<'_> = safes.into_iter().map(open_safe).collect::<Result<_, _>>()?;
    pfx.auth_safe = in_the_clear(&safes)?;
    pfx.to_der().map(Zeroizing::new).map_err(not_pfx)
}

fn verifies(mac: &MacData, content: &[u8]) -> bool {
    let derive = match mac.mac.algorithm.oid {
        SHA_1 => derive_key::<Sha1>,
        SHA_256 => derive_key::<Sha256>,
        SHA_384 => derive_key::<Sha384>,
        SHA_512 => derive_key::<Sha512>,
        _ => return false,
    };
    let algorithm = match mac.mac.algorithm.oid {
        SHA_1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        SHA_256 => hmac::HMAC_SHA256,
        SHA_384 => hmac::HMAC_SHA384,
        _ => hmac::HMAC_SHA512,
    };
    if !(1..=MAX_ITERATIONS).contains(&mac.iterations) {
        return false;
    }
    let length = algorithm.digest_algorithm().output_len();
    let salt = mac.mac_salt.as_bytes();
    let key = Zeroizing::new(derive(NO_PASSWORD, salt, Pkcs12KeyType::Mac, mac.iterations, length));
    hmac::verify(&hmac::Key::new(algorithm, &key), content, mac.mac.digest.as_bytes()).is_ok()
}

fn open_safe(safe: ContentInfo) -> Result<ContentInfo, CertificateError> {
    let bags = match safe.content_type {
        DATA => Zeroizing::new(safe.content.value().to_vec()),
        ENCRYPTED_DATA => match decrypted_data(&safe)? {
            Some(bags) => bags,
            None => return Ok(safe),
        },
        _ => return Ok(safe),
    };
    let bags = SafeContents::from_der(&bags).map_err(|_| CertificateError::NotPfx)?;
    let bags: SafeContents = bags.into_iter().map(open_bag).collect::<Result<_, _>>()?;
    in_the_clear(&bags)
}

/// `None` for a cipher that is the library's.
fn decrypted_data(safe: &ContentInfo) -> Result<Option<Zeroizing<Vec<u8>>>, CertificateError> {
    let not_pfx = |_: der::Error| CertificateError::NotPfx;
    let data = EncryptedData::from_der(&safe.content.to_der().map_err(not_pfx)?).map_err(not_pfx)?;
    let content = data.enc_content_info.encrypted_content.as_ref().ok_or(CertificateError::NotPfx)?;
    decrypt(&data.enc_content_info.content_enc_alg, content.as_bytes())
}

fn open_bag(mut bag: SafeBag) -> Result<SafeBag, CertificateError> {
    let not_pfx = |_: der::Error| CertificateError::NotPfx;
    // `bag_value` is read with its `[0] EXPLICIT` and written without: the writer adds it.
    let value = AnyRef::from_der(&bag.bag_value).map_err(not_pfx)?.value().to_vec();
    bag.bag_value = value;
    if bag.bag_id == SHROUDED_KEY_BAG {
        let shrouded = EncryptedPrivateKeyInfo::from_der(&bag.bag_value).map_err(not_pfx)?;
        if let Some(key) = decrypt(&shrouded.encryption_algorithm, shrouded.encrypted_data.as_bytes())? {
            bag.bag_id = KEY_BAG;
            bag.bag_value = key.to_vec();
        }
    }
    Ok(bag)
}

fn decrypt(cipher: &AlgorithmIdentifierOwned, data: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, CertificateError> {
    let decrypt = match cipher.oid {
        SHA1_3DES => cbc::<des::TdesEde3>,
        SHA1_RC2_40 => cbc::<rc2::Rc2>,
        _ => return Ok(None),
    };
    let key_length = if cipher.oid == SHA1_3DES { 24 } else { 5 };
    let (salt, iterations) = parameters(cipher).ok_or(CertificateError::NotPfx)?;
    let derive = |what, length| Zeroizing::new(derive_key::<Sha1>(NO_PASSWORD, &salt, what, iterations, length));
    let (key, iv) = (derive(Pkcs12KeyType::EncryptionKey, key_length), derive(Pkcs12KeyType::Iv, 8));
    decrypt(&key, &iv, data).map(Some).ok_or(CertificateError::Unsupported)
}

/// `SEQUENCE { salt OCTET STRING, iterations INTEGER }`
fn parameters(cipher: &AlgorithmIdentifierOwned) -> Option<(Vec<u8>, i32)> {
    let parameters = cipher.parameters.as_ref()?.to_der().ok()?;
    let mut reader = SliceReader::new(&parameters).ok()?;
    let read = reader.sequence(|fields| {
        let salt = OctetString::decode(fields)?.into_bytes().to_vec();
        Ok::<_, der::Error>((salt, i32::decode(fields)?))
    });
    read.ok().filter(|(salt, iterations)| !salt.is_empty() && (1..=MAX_ITERATIONS).contains(iterations))
}

fn cbc<C: KeyInit + BlockCipherDecrypt>(key: &[u8], iv: &[u8], data: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let cipher = cbc::Decryptor::<C>::new_from_slices(key, iv).ok()?;
    cipher.decrypt_padded_vec::<Pkcs7>(data).ok().map(Zeroizing::new)
}

fn in_the_clear<T: Encode>(content: &T) -> Result<ContentInfo, CertificateError> {
    let not_pfx = |_: der::Error| CertificateError::NotPfx;
    let octets = OctetString::new(content.to_der().map_err(not_pfx)?).map_err(not_pfx)?;
    Ok(ContentInfo { content_type: DATA, content: Any::encode_from(&octets).map_err(not_pfx)? })
}
