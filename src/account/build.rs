//! Building the accounts: specifications held against one another.
//!
//! Separate from the parts because only here all accounts are seen at once: an import needs
//! an export elsewhere, and a chain of imports must not close. Everything that is wrong is
//! reported, not only the first.
//!
//! An account may import from itself, even so that subjects of its import match again: whoever
//! carries messages MUST NOT carry one through a second import from the account it is in to
//! the same account. Such imports are no part of the search for cycles.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::cycles::{CycleError, Edge, Edges};
use super::export::{self, ExportError, ExportKind, RESPONSE_THRESHOLD, ResponseKind};
use super::import::{self, ImportError, ImportKind, ImportSpec, ServiceImport, StreamImport};
use super::mapping::{MappingError, MappingSpec, Mappings};
use super::{Account, AccountSpec, Accounts, GLOBAL, system};

/// What is wrong with an account. The texts are those the peers show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountError {
    /// The account.
    pub account: String,
    /// What is wrong.
    pub problem: Problem,
}

impl std::fmt::Display for AccountError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.problem.fmt(f)
    }
}

impl std::error::Error for AccountError {}

/// What can be wrong with an account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A second account has the same name.
    #[error("Duplicate Account Entry: {0:?}")]
    DuplicateAccount(String),
    /// An export is wrong in itself.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// A mapping is wrong.
    #[error(transparent)]
    Mapping(#[from] MappingError),
    /// An import names an account that does not exist.
    #[error("{account:?} account not defined for {kind} import")]
    UnknownExporter {
        /// The account.
        account: String,
        /// `service` or `stream`.
        kind: &'static str,
    },
    /// Two service imports from one account have the same local subject. From several
    /// accounts they may: a request then goes to all of them.
    #[error(
        "Duplicate service import subject {local:?}, previously used in import for account {exporter:?}, subject {remote:?}"
    )]
    DuplicateService {
        /// The local subject.
        local: String,
        /// The exporter of the first import.
        exporter: String,
        /// The remote subject of the first import.
        remote: String,
    },
    /// An import is refused.
    #[error("Error adding {kind} import {subject:?}: {refusal}")]
    Import {
        /// `service` or `stream`.
        kind: &'static str,
        /// The remote subject.
        subject: String,
        /// Why.
        #[source]
        refusal: Box<Refusal>,
    },
}

/// Why an import is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No export covers it, or not for this account.
    #[error("{0} import not authorized")]
    NotAuthorized(&'static str),
    /// The same stream is imported already.
    #[error("stream import already exists")]
    DuplicateStream,
    /// Subject, prefix and `to` do not fit.
    #[error(transparent)]
    Shape(#[from] ImportError),
    /// Messages would come back.
    #[error(transparent)]
    Cycle(#[from] CycleError),
}

/// Checks accounts against each other and compiles them.
///
/// `$G` and the system account exist whether they are specified or not; `global_mappings`
/// are added before those of `$G`. Every account takes the implicit services of `system`;
/// `None`: there is no system account.
pub fn build(
    specs: &[AccountSpec],
    global_mappings: &[MappingSpec],
    system: Option<&str>,
) -> Result<Accounts, Vec<AccountError>> {
    let mut builder = Builder::new(specs, system);
    let by_name = builder.accounts(global_mappings);
    if builder.errors.is_empty() {
        Ok(Accounts {
            by_name,
            system: system.map(str::to_owned),
        })
    } else {
        Err(builder.errors)
    }
}

/// What is known while accounts are built one after the other.
struct Builder<'a> {
    specs: BTreeMap<&'a str, AccountSpec>,
    /// Names in the order of the specifications, which is the order of errors.
    names: Vec<&'a str>,
    system: Option<&'a str>,
    services: Edges,
    streams: Edges,
    errors: Vec<AccountError>,
}

impl<'a> Builder<'a> {
    fn new(specs: &'a [AccountSpec], system: Option<&'a str>) -> Self {
        let mut builder = Builder {
            specs: BTreeMap::new(),
            names: Vec::new(),
            system,
            services: Edges::default(),
            streams: Edges::default(),
            errors: Vec::new(),
        };
        for spec in specs {
            builder.names.push(&spec.name);
            if builder.specs.insert(&spec.name, spec.clone()).is_some() {
                builder.names.pop();
                builder.refuse(&spec.name, Problem::DuplicateAccount(spec.name.clone()));
            }
        }
        for name in [Some(GLOBAL), system].into_iter().flatten() {
            if !builder.specs.contains_key(name) {
                builder.names.push(name);
                builder.specs.insert(
                    name,
                    AccountSpec {
                        name: name.to_owned(),
                        ..AccountSpec::default()
                    },
                );
            }
        }
        builder
    }

    fn refuse(&mut self, account: &str, problem: impl Into<Problem>) {
        self.errors.push(AccountError {
            account: account.to_owned(),
            problem: problem.into(),
        });
    }

    fn accounts(&mut self, global_mappings: &[MappingSpec]) -> BTreeMap<String, Arc<Account>> {
        let mut by_name = BTreeMap::new();
        for name in std::mem::take(&mut self.names) {
            let Some(spec) = self.specs.get(name).cloned() else {
                continue;
            };
            let global_mappings = if name == GLOBAL { global_mappings } else { &[] };
            let account = self.account(&spec, global_mappings);
            by_name.insert(name.to_owned(), Arc::new(account));
        }
        by_name
    }

    fn account(&mut self, spec: &AccountSpec, global_mappings: &[MappingSpec]) -> Account {
        let exists = |name: &str| self.specs.contains_key(name);
        for error in export::check(&spec.exports, &exists) {
            self.refuse(&spec.name, error);
        }
        let mappings = [global_mappings, &spec.mappings].concat();
        let mappings = Mappings::compile(&mappings).unwrap_or_else(|error| {
            self.refuse(&spec.name, error);
            Mappings::default()
        });
        let mut account = Account {
            name: spec.name.clone(),
            nkey: spec.nkey.clone(),
            exports: spec.exports.clone(),
            service_imports: Vec::new(),
            stream_imports: Vec::new(),
            mappings,
            limits: spec.limits,
            trace: spec.trace.clone(),
        };
        let mut locals = BTreeMap::new();
        let mut streams = BTreeSet::new();
        for import in &spec.imports {
            let added = match &import.kind {
                ImportKind::Service { share } => {
                    self.add_service(&mut account, import, *share, &mut locals)
                }
                ImportKind::Stream { prefix } => {
                    self.add_stream(&mut account, import, prefix.as_deref(), &mut streams)
                }
            };
            if let Err(problem) = added {
                self.refuse(&spec.name, problem);
            }
        }
        self.add_implicit(&mut account);
        account
    }

    fn add_service<'s>(
        &mut self,
        account: &mut Account,
        spec: &'s ImportSpec,
        share: bool,
        locals: &mut BTreeMap<(&'s str, &'s str), &'s ImportSpec>,
    ) -> Result<(), Problem> {
        let local = spec.to.as_deref().unwrap_or(&spec.subject);
        if let Some(first) = locals.insert((&spec.account, local), spec) {
            return Err(Problem::DuplicateService {
                local: local.to_owned(),
                exporter: first.account.clone(),
                remote: first.subject.clone(),
            });
        }
        let import = self.service(&account.name, spec, share)?;
        let edge = Edge {
            from: account.name.clone(),
            filter: import.local.clone(),
            to: import.exporter.clone(),
            map: import.map.clone(),
        };
        if is_idle(&edge) {
            return Ok(());
        }
        if edge.from != edge.to {
            let refuse = |error| refused("service", spec, error);
            self.services.add(edge).map_err(refuse)?;
        }
        account.service_imports.push(import);
        Ok(())
    }

    fn service(
        &self,
        importer: &str,
        spec: &ImportSpec,
        share: bool,
    ) -> Result<ServiceImport, Problem> {
        let refuse = |error: ImportError| refused("service", spec, error);
        let export = self.export("service", importer, spec)?;
        let (local, map) =
            import::service_map(&spec.subject, spec.to.as_deref()).map_err(refuse)?;
        let mut import = ServiceImport {
            local,
            exporter: spec.account.clone(),
            remote: spec.subject.clone(),
            map,
            share,
            response: ResponseKind::default(),
            response_threshold: RESPONSE_THRESHOLD,
            latency: None,
            allow_trace: false,
        };
        if let ExportKind::Service {
            response,
            response_threshold,
            latency,
            allow_trace,
        } = &export.kind
        {
            import.response = *response;
            import.response_threshold = response_threshold.unwrap_or(RESPONSE_THRESHOLD);
            import.latency = latency.clone();
            import.allow_trace = *allow_trace;
        }
        Ok(import)
    }

    fn add_stream<'s>(
        &mut self,
        account: &mut Account,
        spec: &'s ImportSpec,
        prefix: Option<&str>,
        seen: &mut BTreeSet<(&'s str, &'s str)>,
    ) -> Result<(), Problem> {
        let import = self.stream(&account.name, spec, prefix)?;
        if !seen.insert((&spec.account, &spec.subject)) {
            return Err(refused("stream", spec, Refusal::DuplicateStream));
        }
        let edge = Edge {
            from: import.exporter.clone(),
            filter: import.remote.clone(),
            to: account.name.clone(),
            map: import.map.clone(),
        };
        if is_idle(&edge) {
            return Ok(());
        }
        if edge.from != edge.to {
            let refuse = |error| refused("stream", spec, error);
            self.streams.add(edge).map_err(refuse)?;
        }
        account.stream_imports.push(import);
        Ok(())
    }

    fn stream(
        &self,
        importer: &str,
        spec: &ImportSpec,
        prefix: Option<&str>,
    ) -> Result<StreamImport, Problem> {
        self.export("stream", importer, spec)?;
        import::stream_import(spec, prefix)
            .map_err(|error: ImportError| refused("stream", spec, error))
    }

    /// The export an import goes through.
    fn export(
        &self,
        kind: &'static str,
        importer: &str,
        spec: &ImportSpec,
    ) -> Result<&export::ExportSpec, Problem> {
        let Some(exporter) = self.specs.get(spec.account.as_str()) else {
            return Err(Problem::UnknownExporter {
                account: spec.account.clone(),
                kind,
            });
        };
        export::find(&exporter.exports, kind, &spec.subject, importer)
            .ok_or_else(|| refused(kind, spec, Refusal::NotAuthorized(kind)))
    }

    /// Adds what every account takes from the system account, unless it is configured.
    fn add_implicit(&self, account: &mut Account) {
        let Some(system) = self.system else {
            return;
        };
        let taken = |import: &ServiceImport| {
            let mut own = account.service_imports.iter();
            own.any(|own| own.exporter == import.exporter && own.local == import.local)
        };
        let mut implicit = system::implicit_imports(&account.name, system);
        implicit.retain(|import| !taken(import));
        account.service_imports.extend(implicit);
    }
}

/// The import changes neither account nor subject, so there is nothing to carry.
fn is_idle(edge: &Edge) -> bool {
    edge.from == edge.to && edge.map == import::SubjectMap::Same
}

fn refused(kind: &'static str, spec: &ImportSpec, refusal: impl Into<Refusal>) -> Problem {
    Problem::Import {
        kind,
        subject: spec.subject.clone(),
        refusal: Box::new(refusal.into()),
    }
}

#[cfg(test)]
mod tests;
