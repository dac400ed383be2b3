use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyIdMethod, KeyPair};

use super::*;

/// A name with a key; it may have several certificates.
struct Authority {
    params: CertificateParams,
    key: KeyPair,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.use_authority_key_identifier_extension = true;
        Self { params, key: KeyPair::generate().unwrap() }
    }

    /// Without key identifiers that would tell keys apart.
    fn anonymous(name: &str) -> Self {
        let mut authority = Self::new(name);
        authority.params.use_authority_key_identifier_extension = false;
        authority.params.key_identifier_method = KeyIdMethod::PreSpecified(vec![7]);
        authority
    }

    fn root(&self) -> Vec<u8> {
        self.params.self_signed(&self.key).unwrap().der().to_vec()
    }

    fn signed_by(&self, issuer: &Self) -> Vec<u8> {
        let issuer = Issuer::new(issuer.params.clone(), &issuer.key);
        self.params.signed_by(&self.key, &issuer).unwrap().der().to_vec()
    }
}

/// Positions in `certificates` in the order they come out, and that of the root.
fn order(certificates: &[Vec<u8>], leaf: usize) -> (Vec<usize>, Option<usize>) {
    let position = |der: &[u8]| certificates.iter().position(|certificate| certificate == der).unwrap();
    let chain = sorted(certificates, leaf).unwrap();
    (chain.certificates.into_iter().map(position).collect(), chain.root.map(position))
}

#[test]
fn any_order_comes_out_leaf_first() {
    let [root, upper, lower, leaf] = ["root", "upper", "lower", "leaf"].map(Authority::new);
    let straight = [leaf.signed_by(&lower), lower.signed_by(&upper), upper.signed_by(&root), root.root()];
    for order_in in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]] {
        let certificates: Vec<Vec<u8>> = order_in.iter().map(|position| straight[*position].clone()).collect();
        let leaf = order_in.iter().position(|position| *position == 0).unwrap();
        let chain = sorted(&certificates, leaf).unwrap();
        assert_eq!(chain.certificates, straight, "{order_in:?}");
        assert_eq!(chain.root, Some(straight[3].as_slice()), "{order_in:?}");
    }
}

#[test]
fn duplicates_are_dropped_and_strangers_come_last() {
    let [root, leaf, stranger] = ["root", "leaf", "stranger"].map(Authority::new);
    let certificates = [stranger.root(), root.root(), leaf.signed_by(&root)];
    let certificates = [&certificates[..], &certificates[..]].concat();
    assert_eq!(order(&certificates, 2), (vec![2, 1, 0], Some(1)));
}

#[test]
fn without_its_root_a_chain_has_none() {
    let [root, middle, leaf, stranger] = ["root", "middle", "leaf", "stranger"].map(Authority::new);
    let certificates = [stranger.root(), middle.signed_by(&root), leaf.signed_by(&middle)];
    assert_eq!(order(&certificates, 2), (vec![2, 1, 0], None));
}

#[test]
fn a_self_signed_leaf_is_its_own_root() {
    let [leaf, stranger] = ["leaf", "leaf"].map(Authority::new);
    assert_eq!(order(&[stranger.root(), leaf.root()], 1), (vec![1, 0], Some(1)));
}

#[test]
fn of_issuers_with_one_name_the_one_that_signed_is_taken() {
    for make in [Authority::new, Authority::anonymous] {
        let [old, new, leaf] = [make("root"), make("root"), make("leaf")];
        let certificates = [old.root(), new.root(), leaf.signed_by(&new)];
        assert_eq!(order(&certificates, 2), (vec![2, 1, 0], Some(1)));
        let certificates = [new.root(), old.root(), leaf.signed_by(&new)];
        assert_eq!(order(&certificates, 2), (vec![2, 0, 1], Some(0)));
    }
}

#[test]
fn a_root_that_changed_its_key_is_followed_to_the_old_one() {
    let [old, new] = [Authority::new("root"), Authority::new("root")];
    let leaf = Authority::new("leaf");
    let certificates = [old.root(), new.signed_by(&old), leaf.signed_by(&new)];
    assert_eq!(order(&certificates, 2), (vec![2, 1, 0], Some(0)));
}

#[test]
fn two_that_signed_each_other_end() {
    let [left, right] = [Authority::new("left"), Authority::new("right")];
    let leaf = Authority::new("leaf");
    let certificates = [left.signed_by(&right), right.signed_by(&left), leaf.signed_by(&left)];
    assert_eq!(order(&certificates, 2), (vec![2, 0, 1], None));
}

#[test]
fn what_is_not_x509_or_has_bytes_after_it_is_refused() {
    let leaf = Authority::new("leaf").root();
    for other in [b"kwcanary".to_vec(), Vec::new(), [leaf.as_slice(), &[0]].concat()] {
        assert_eq!(sorted(&[leaf.clone(), other], 0).err(), Some(CertificateError::Damaged));
    }
}
