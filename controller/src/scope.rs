//! Which namespaces are looked after: all, or those that are listed. Pure.
//!
//! Whatever is watched is watched at one [`Place`] after another, so that rights in the listed namespaces suffice.

use std::{collections::BTreeSet, fmt, sync::Arc};

use kube::{Api, Client, Resource, core::NamespaceResourceScope};

/// The namespaces that are looked after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All there are, by watches of the whole cluster.
    All,
    /// These, whether they exist or not, each by watches of its own.
    Only(BTreeSet<String>),
}

/// What one watch tells of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// Every namespace.
    Cluster,
    /// This one.
    Namespace(Arc<str>),
}

impl Scope {
    /// These; without any, all.
    pub fn of(namespaces: impl IntoIterator<Item = String>) -> Self {
        let only = BTreeSet::from_iter(namespaces);
        if only.is_empty() { Self::All } else { Self::Only(only) }
    }

    /// The same and this one.
    #[must_use]
    pub fn and(mut self, namespace: &str) -> Self {
        if let Self::Only(only) = &mut self {
            only.insert(namespace.to_owned());
        }
        self
    }

    /// Whether it is looked after.
    pub fn admits(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(only) => only.contains(namespace),
        }
    }

    /// What is to be watched.
    pub fn places(&self) -> Vec<Place> {
        match self {
            Self::All => vec![Place::Cluster],
            Self::Only(only) => only.iter().map(|namespace| Place::Namespace(namespace.as_str().into())).collect(),
        }
    }
}

impl Place {
    /// Whether what is in `namespace` is seen there.
    pub fn holds(&self, namespace: &str) -> bool {
        match self {
            Self::Cluster => true,
            Self::Namespace(own) => **own == *namespace,
        }
    }

    /// What is there of a kind.
    pub fn api<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>>(&self, client: &Client) -> Api<K> {
        match self {
            Self::Cluster => Api::all(client.clone()),
            Self::Namespace(own) => Api::namespaced(client.clone(), own),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str("the cluster"),
            Self::Namespace(own) => write!(f, "namespace {own}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(namespaces: &[&str]) -> Scope {
        Scope::of(namespaces.iter().map(|namespace| (*namespace).to_owned()))
    }

    #[test]
    fn what_is_not_listed_is_not_looked_after_unless_nothing_is_listed() {
        for (listed, shop, bank) in
            [(of(&[]), true, true), (of(&["shop"]), true, false), (of(&["shops"]), false, false)]
        {
            assert_eq!((listed.admits("shop"), listed.admits("bank")), (shop, bank), "{listed:?}");
        }
        assert!(!of(&["shop"]).admits("") && of(&["shop"]).and("bank").admits("bank"));
        assert_eq!(Scope::All.and("bank"), Scope::All);
    }

    #[test]
    fn listed_namespaces_are_watched_one_by_one_and_each_once() {
        let places = |scope: &Scope| scope.places().iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(places(&Scope::All), ["the cluster"]);
        assert_eq!(places(&of(&["shop", "bank", "shop"])), ["namespace bank", "namespace shop"]);
    }

    #[test]
    fn a_place_holds_what_a_watch_of_it_would_tell() {
        assert!(Place::Cluster.holds("shop"));
        let shop = Place::Namespace("shop".into());
        assert!(shop.holds("shop") && !shop.holds("bank") && !shop.holds(""));
    }
}
