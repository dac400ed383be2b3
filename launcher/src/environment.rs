//! The environment, as data: which variables hold references, what they become, and what the application never sees.
//!
//! Names and values are bytes here; what is not UTF-8 cannot be a reference and passes through untouched.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt as _;

use keyward_types::{InvalidReference, Reference, SecretBytes};

use crate::settings::OWN_VARIABLES;

/// The variables the application will get, in the order the launcher got them.
pub struct Environment(Vec<(OsString, OsString)>);

/// The launcher's own variables, taken out of an [`Environment`].
#[derive(Debug, Default)]
pub struct Own(Vec<(OsString, OsString)>);

/// What has to be asked for, and where the answers go.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Each reference once, in order of first appearance.
    pub references: Vec<Reference>,
    /// Position of a variable in the environment, and of its reference in `references`.
    uses: Vec<(usize, usize)>,
}

/// Why the environment cannot be resolved.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    /// Values and references do not pair up: the program must not start with a literal.
    #[error("there is not a value for each reference; this is a defect of the launcher")]
    Unpaired,
    /// A value ends like a reference and is none.
    #[error("variable {variable:?}: {source}")]
    Reference {
        /// The variable.
        variable: OsString,
        /// What is wrong with its value.
        source: InvalidReference,
    },
    /// The broker refuses more.
    #[error("{0} different references; one container may have at most {max}", max = keyward_proto::MAX_REFERENCES)]
    TooMany(usize),
    /// No environment can hold this value.
    #[error(
        "variable {variable:?}: the value of {reference} contains a NUL byte, which no environment can hold; let an \
         AzureKeyVaultSecret write it to a Secret and mount that as a file"
    )]
    Nul {
        /// The variable.
        variable: OsString,
        /// What it refers to.
        reference: Reference,
    },
}

impl Environment {
    /// Takes the variables as the system gives them.
    pub fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self(variables.into_iter().collect())
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        get(&self.0, name)
    }

    /// Removes the launcher's own variables, and only those: an application may have a `KEYWARD_` variable itself.
    pub fn take_own(&mut self) -> Own {
        let is_own = |name: &OsStr| OWN_VARIABLES.iter().any(|own| name == *own);
        let (own, rest) = std::mem::take(&mut self.0).into_iter().partition(|(name, _)| is_own(name));
        self.0 = rest;
        Own(own)
    }

    /// Finds every reference. One value that only looks like a reference fails all: the application would start with a
    /// literal in place of a secret.
    pub fn wanted(&self) -> Result<Wanted, EnvironmentError> {
        let mut wanted = Wanted::default();
        for (position, (variable, value)) in self.0.iter().enumerate() {
            let Some(parsed) = value.to_str().and_then(Reference::parse) else { continue };
            let reference =
                parsed.map_err(|source| EnvironmentError::Reference { variable: variable.clone(), source })?;
            let known = wanted.references.iter().position(|known| *known == reference);
            let index = known.unwrap_or_else(|| {
                wanted.references.push(reference);
                wanted.references.len() - 1
            });
            wanted.uses.push((position, index));
        }
        match wanted.references.len() {
            count if count > keyward_proto::MAX_REFERENCES => Err(EnvironmentError::TooMany(count)),
            _ => Ok(wanted),
        }
    }

    /// Puts `values`, one for each of `wanted.references`, in place of the references.
    pub fn apply(&mut self, wanted: &Wanted, values: &[SecretBytes]) -> Result<(), EnvironmentError> {
        for (position, index) in &wanted.uses {
            let (Some((variable, value)), Some(reference), Some(resolved)) =
                (self.0.get_mut(*position), wanted.references.get(*index), values.get(*index))
            else {
                return Err(EnvironmentError::Unpaired);
            };
            if resolved.expose().contains(&0) {
                return Err(EnvironmentError::Nul { variable: variable.clone(), reference: reference.clone() });
            }
            *value = OsString::from_vec(resolved.expose().to_vec());
        }
        Ok(())
    }

    /// The variable that takes most room, and how many bytes it takes.
    pub fn largest(&self) -> Option<(&OsStr, usize)> {
        let sizes = self.0.iter().map(|(name, value)| (name.as_os_str(), name.len() + value.len()));
        sizes.max_by_key(|(_, size)| *size)
    }

    /// The variables, for the application.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }
}

impl Own {
    /// The value of one of the launcher's own variables.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        get(&self.0, name)
    }
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Own {
    fn from(variables: [(&str, &str); N]) -> Self {
        Self(variables.map(|(name, value)| (name.into(), value.into())).into())
    }
}

fn get<'a>(variables: &'a [(OsString, OsString)], wanted: &str) -> Option<&'a OsStr> {
    // Of several the last: it is the one that the program will see.
    variables.iter().rev().find(|(name, _)| name == wanted).map(|(_, value)| value.as_os_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        Environment::new(variables.iter().map(|(name, value)| (name.into(), value.into())))
    }

    fn shown(environment: &Environment) -> Vec<(&str, &str)> {
        environment.iter().map(|(name, value)| (name.to_str().unwrap(), value.to_str().unwrap())).collect()
    }

    #[test]
    fn a_reference_in_several_variables_is_asked_for_once() {
        let environment = environment(&[
            ("A", "db@azurekeyvault"),
            ("B", "plain"),
            ("C", "db@azurekeyvault?user"),
            ("D", "db@azurekeyvault"),
        ]);
        let wanted = environment.wanted().unwrap();
        let references: Vec<String> = wanted.references.iter().map(ToString::to_string).collect();
        assert_eq!(references, ["db@azurekeyvault", "db@azurekeyvault?user"]);
        assert_eq!(wanted.uses, [(0, 0), (2, 1), (3, 0)]);
    }

    #[test]
    fn values_take_the_place_of_references_and_of_nothing_else() {
        let mut environment = environment(&[("A", "x@azurekeyvault"), ("B", "y"), ("C", "x@azurekeyvault")]);
        let wanted = environment.wanted().unwrap();
        environment.apply(&wanted, &[SecretBytes::from("kwcanary")]).unwrap();
        assert_eq!(shown(&environment), [("A", "kwcanary"), ("B", "y"), ("C", "kwcanary")]);
    }

    #[test]
    fn what_is_not_utf8_passes_through() {
        let odd = OsString::from_vec(b"\xff@azurekeyvault".to_vec());
        let environment = Environment::new([(odd.clone(), odd.clone())]);
        assert_eq!(environment.wanted().unwrap(), Wanted::default());
        assert_eq!(environment.iter().next(), Some((odd.as_os_str(), odd.as_os_str())));
    }

    #[test]
    fn a_malformed_reference_is_named_with_its_variable() {
        let error = environment(&[("DB", "DB@azurekeyvault")]).wanted().unwrap_err().to_string();
        assert!(error.starts_with(r#"variable "DB": `DB` is not the name"#), "{error}");
    }

    #[test]
    fn a_value_with_nul_is_refused_without_showing_it() {
        let mut environment = environment(&[("KEY", "k@azurekeyvault")]);
        let wanted = environment.wanted().unwrap();
        let error = environment.apply(&wanted, &[SecretBytes::from("kwcanary\0")]).unwrap_err();
        let Err(text) = Err::<(), _>(error.to_string()) else { unreachable!() };
        assert!(text.starts_with(r#"variable "KEY": the value of k@azurekeyvault contains a NUL"#), "{text}");
        assert!(!text.contains("kwcanary"));
    }

    #[test]
    fn more_references_than_the_broker_takes_are_refused_before_asking() {
        let variables =
            (0..=keyward_proto::MAX_REFERENCES).map(|n| (format!("V{n}").into(), format!("n{n}@azurekeyvault").into()));
        assert_eq!(Environment::new(variables).wanted(), Err(EnvironmentError::TooMany(1_001)));
    }

    #[test]
    fn only_the_launchers_own_variables_are_taken_out() {
        let mut environment = environment(&[
            ("KEYWARD_BROKER", "b"),
            ("KEYWARD_MINE", "m"),
            ("KEYWARD_DEADLINE", "d"),
            ("KEYWARD_REFERENCES", "api,db?user"),
            ("KEYWARD_CONTAINER", "app"),
        ]);
        let own = environment.take_own();
        assert_eq!(own.get("KEYWARD_BROKER"), Some(OsStr::new("b")));
        assert_eq!(own.get("KEYWARD_DEADLINE"), Some(OsStr::new("d")));
        assert_eq!(shown(&environment), [("KEYWARD_MINE", "m")]);
    }
}
