//! Packing and signing: from what an author writes to a package.

use kapsule_abi::{ErrorCode, guard};
use kapsule_format::authoring::{AuthoringError, Draft, Inputs, Source, Text};
use kapsule_format::encrypt::Recipient;
use kapsule_format::key::Uses;
use kapsule_format::manifest::Manifest;
use kapsule_format::package::{Package, PackageBuilder, PackageId, Scope};
use kapsule_format::policy::Policy;

use crate::error::Failure;
use crate::keystore::StoredIdentity;
use crate::{execute, grants};

/// Text of the authoring files, with their names for messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Authoring<'a> {
    /// Name of the manifest file.
    pub(crate) manifest_name: &'a str,
    /// Manifest.
    pub(crate) manifest: Text<'a>,
    /// Name and text of a policy file.
    pub(crate) policy: Option<(&'a str, Text<'a>)>,
}

impl Authoring<'_> {
    /// Reads the files.
    pub(crate) fn draft(&self) -> Result<Draft, Failure> {
        let policy = self.policy.map(|(_, text)| text);
        Draft::read(self.manifest, policy).map_err(|error| self.refused(&error))
    }

    /// Returns the policy that a package of these inputs asks for.
    pub(crate) fn policy(&self, draft: &Draft, inputs: &Inputs<'_>) -> Result<Policy, Failure> {
        let finished = draft.finish(inputs).map_err(|error| self.refused(&error))?;
        Ok(finished.1)
    }

    /// Packs the body and checks that the module can run as it says.
    pub(crate) fn pack(
        &self,
        draft: &Draft,
        inputs: &Inputs<'_>,
        dependencies: &[PackageId],
        recipients: &[Recipient],
    ) -> Result<Package, Failure> {
        let (manifest, policy) = draft.finish(inputs).map_err(|error| self.refused(&error))?;
        self.check_module(&manifest, &policy, inputs.payload)?;
        let builder = PackageBuilder::new(manifest, policy, inputs.payload.to_vec());
        let builder = dependencies.iter().fold(builder, |builder, id| builder.dependency(*id));
        let builder = match recipients {
            [] => Ok(builder),
            _ => builder.encrypt(recipients, &fresh_salt()?),
        };
        let package = builder.and_then(PackageBuilder::pack).map_err(|error| {
            let hint = match error.code {
                ErrorCode::BindingMismatch => "name the author with --key or --author-key",
                _ => "change the manifest or the payload that the cause names",
            };
            Failure::decode(self.message(), &error, hint)
        })?;
        Ok(package.into_inner())
    }

    /// Refuses a module that no host could run, as long as its author is there to change it.
    fn check_module(
        &self,
        manifest: &Manifest,
        policy: &Policy,
        payload: &[u8],
    ) -> Result<(), Failure> {
        let exec = &manifest.exec;
        let refused = |error| execute::module_refused(&exec.binary, &error);
        let profile = exec.profile.name().parse().map_err(refused)?;
        let options = kapsule_meter::Options::new(profile);
        let module = kapsule_meter::meter(payload, &options).map_err(refused)?;
        let entries = exec.entries.iter().flatten().chain([&exec.entry]);
        for entry in entries {
            if guard!("cli.pack.entry", !module.entries().contains_key(entry)) {
                let names: Vec<&str> = module.entries().keys().map(String::as_str).collect();
                let hint = format!("entries that it exports: {}", names.join(", "));
                return Err(Failure::new(ErrorCode::EntryNotFound, self.message(), hint)
                    .cause(format!("{} exports no entry {entry:?}", exec.binary)));
            }
        }
        let missing = grants::missing(&grants::distinct(&module), policy);
        if let Some(call) = missing.first()
            && guard!("cli.pack.grants", true)
        {
            let cause = format!("{} imports {}, which needs a grant", exec.binary, call.name);
            return Err(grants::refused(&exec.binary, policy, &missing, cause));
        }
        Ok(())
    }

    fn message(&self) -> String {
        format!("{} cannot be packed", self.manifest_name)
    }

    fn refused(&self, error: &AuthoringError) -> Failure {
        let (name, Text { text, .. }) = match (error.source, self.policy) {
            (Source::Policy, Some(policy)) => policy,
            _ => (self.manifest_name, self.manifest),
        };
        let hint = match error.code {
            ErrorCode::UnitSyntax => "write sizes like \"64MiB\", times like \"500ms\"",
            ErrorCode::UnknownCriticalField => "remove the key, or correct its spelling",
            ErrorCode::FeesInvalid => "let the splits add up to 100%",
            ErrorCode::SectionHashMismatch => "remove exec.hash; packing computes it",
            _ => "change the line; `kapsule pack --help` shows a manifest",
        };
        let failure = Failure::new(error.code, self.message(), hint).cause(error);
        let line = error.line.and_then(|line| Some((line, line.checked_sub(1)?)));
        let shown = line.and_then(|(line, index)| {
            let text = text.lines().nth(usize::try_from(index).ok()?)?;
            Some(format!("{name}:{line}: {}", crate::text::plain(text.trim())))
        });
        match shown {
            Some(shown) => failure.cause(shown),
            None => failure,
        }
    }
}

fn fresh_salt() -> Result<[u8; 32], Failure> {
    let mut salt = [0; 32];
    getrandom::fill(&mut salt).map_err(|error| {
        Failure::internal("the system gives no random bytes", "try again later").cause(error)
    })?;
    Ok(salt)
}

/// Signs a package with every key of an identity and puts the signatures into its trailer.
pub(crate) fn sign(
    package: &mut Package,
    scope: Scope,
    signer: &StoredIdentity,
    insecure_dev: bool,
) -> Result<(), Failure> {
    let message = "the package cannot be signed with this key";
    for key in &signer.keys {
        if guard!("cli.sign.uses", key.uses != Uses::Sign) {
            let uses = key.uses.names().join(", ");
            return Err(Failure::new(
                ErrorCode::KeyFileForm,
                message,
                "sign packages with a key made by `kapsule key new NAME`",
            )
            .cause(format!("the key is for {uses} only")));
        }
        package.sign(scope, &key.secret, insecure_dev).map_err(|error| {
            let hint = match error.code {
                ErrorCode::TestKeyRefused => "make a key of your own with `kapsule key new NAME`",
                ErrorCode::KeyidMismatch => {
                    "pack again with `--key NAME`, or sign as a publisher with `--scope publisher`"
                }
                _ => "sign a package that has room for a signature",
            };
            Failure::decode(message, &error, hint)
        })?;
    }
    Ok(())
}
