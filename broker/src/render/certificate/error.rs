//! Why a certificate cannot be read.

/// Why a certificate, its chain or its key cannot be used as they are in the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The twin's `contentType` is another.
    #[error(
        "the certificate's secret is neither `application/x-pkcs12` nor `application/x-pem-file`; import the certificate anew"
    )]
    ContentType,
    /// A PFX must be base64.
    #[error("the PFX is not base64; store it as `base64 FILE.pfx` writes it")]
    NotBase64,
    /// Not the structure of a PFX.
    #[error("the value is neither a PFX (PKCS#12, DER) nor PEM")]
    NotPfx,
    /// A PFX whose content nothing vouches for.
    #[error("the PFX has no MAC, so nothing shows that it is whole; export it again with a MAC")]
    NoMac,
    /// Altered, or a password is set.
    #[error("the PFX's MAC does not fit an empty password; export it again with an empty password")]
    Password,
    /// A cipher or a structure that is not read.
    #[error("the PFX cannot be decrypted; export it again with AES-256 or 3DES and an empty password")]
    Unsupported,
    /// PEM blocks that do not end or are not base64.
    #[error("the PEM is damaged or not UTF-8; store it again as it was issued")]
    Pem,
    /// A key behind a password.
    #[error("the private key is encrypted; store it without a password")]
    EncryptedKey,
    /// More keys than one.
    #[error("there are several private keys; keep only the certificate's own")]
    SeveralKeys,
    /// No certificate at all.
    #[error("there is no certificate beside the private key; store both")]
    NoCertificate,
    /// Longer than any chain in earnest.
    #[error("there are more than 64 certificates; keep the certificate and its issuers")]
    TooManyCertificates,
    /// Not X.509.
    #[error("a certificate in the chain is damaged; import it anew")]
    Damaged,
    /// The certificate and its secret differ.
    #[error(
        "the chain in the certificate's secret does not hold the certificate itself; read it again or import it anew"
    )]
    LeafMissing,
    /// Not a private key in any known form.
    #[error("the private key is damaged or of an unknown kind; use RSA, EC with a named curve, or Ed25519")]
    BadKey,
    /// No way to tell whether key and certificate belong together.
    #[error(
        "the private key does not tell its public half, so it cannot be compared with the certificate; export it with it"
    )]
    Unverifiable,
    /// The key is another certificate's.
    #[error("the private key is not the certificate's; store the pair that was issued together")]
    OtherKey,
    /// A TLS Secret was asked of a secret that has certificates only.
    #[error("the value holds no private key; store certificate and key together, as PFX or PEM")]
    NoKeyInSecret,
}
