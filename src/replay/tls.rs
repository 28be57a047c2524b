//! TLS towards v2: which certificates are believed.
//!
//! In: [`Trust`]. Out: a rustls configuration with the ring provider and one protocol by ALPN. The
//! name that is asked for and checked is that of the target, never that of the Host field.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::{ReplayError, Trust};

/// The client's side of TLS. A plain target needs no authorities, so none are loaded for it.
pub(super) fn client_config(
    tls: bool,
    trust: &Trust,
    protocol: &[u8],
) -> Result<ClientConfig, ReplayError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let schemes = provider.signature_verification_algorithms.supported_schemes();
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|err| ReplayError::Client(err.to_string()))?;
    let builder = match trust {
        Trust::Anything => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(BelieveAll { schemes }))
        }
        _ if !tls => builder.with_root_certificates(RootCertStore::empty()),
        Trust::System => builder.with_root_certificates(system_authorities()?),
        Trust::Authorities(path) => builder.with_root_certificates(authorities_in(path)?),
    };
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(config)
}

/// The system's certificate authorities; those that cannot be read are passed over.
fn system_authorities() -> Result<RootCertStore, ReplayError> {
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    let (added, _) = store.add_parsable_certificates(found.certs);
    if added == 0 {
        let errors: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        let reason = if errors.is_empty() { "none found".to_owned() } else { errors.join("; ") };
        return Err(ReplayError::NoSystemAuthorities(reason));
    }
    Ok(store)
}

/// The certificate authorities of a PEM file, all of which must be readable.
fn authorities_in(path: &Path) -> Result<RootCertStore, ReplayError> {
    let wrong = |reason: String| ReplayError::Authorities { path: path.to_owned(), reason };
    let mut store = RootCertStore::empty();
    for cert in CertificateDer::pem_file_iter(path).map_err(|err| wrong(err.to_string()))? {
        let cert = cert.map_err(|err| wrong(err.to_string()))?;
        store.add(cert).map_err(|err| wrong(err.to_string()))?;
    }
    if store.is_empty() {
        return Err(wrong("there is no certificate in it; expected PEM".to_owned()));
    }
    Ok(store)
}

/// Believes any certificate, of any form, and does not ask for a proof of it.
#[derive(Debug)]
struct BelieveAll {
    /// The signature schemes to offer.
    schemes: Vec<SignatureScheme>,
}

impl ServerCertVerifier for BelieveAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}
