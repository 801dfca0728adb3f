//! Downloads over HTTP and HTTPS.

use std::io::{self, ErrorKind, Read};
use std::time::Duration;

use ureq::http::StatusCode;
use ureq::http::header::{CONTENT_RANGE, RANGE};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Proxy};

use crate::error::{Error, Result};

/// The environment variable that names a file of certificates to trust instead of Mozilla's, for proxies that look into
/// connections.
const CERTIFICATES: &str = "SSL_CERT_FILE";

/// A file on its way.
pub(super) struct Stream {
    pub(super) body: Box<dyn Read>,
    /// The file's byte that comes first.
    pub(super) begin: u64,
    /// Bytes of the whole file, if known.
    pub(super) total: Option<u64>,
}

/// How mirrors are reached.
pub struct Network {
    agent: Agent,
    patience: Duration,
}

impl Network {
    /// As the environment says: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY` and `SSL_CERT_FILE`. A mirror may be
    /// silent for as long as `patience`.
    ///
    /// # Errors
    /// A file of certificates that cannot be read or has none.
    pub fn of_environment(patience: Duration) -> Result<Network> {
        Ok(Network::new(patience, Proxy::try_from_env(), roots()?))
    }

    /// Without a proxy, whatever the environment says.
    pub fn direct(patience: Duration) -> Network {
        Network::new(patience, None, RootCerts::WebPki)
    }

    fn new(patience: Duration, proxy: Option<Proxy>, roots: RootCerts) -> Network {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(proxy)
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .timeout_resolve(Some(patience))
            .timeout_connect(Some(patience))
            .timeout_per_read(Some(patience))
            .user_agent(concat!("nem-tui/", env!("CARGO_PKG_VERSION")));
        Network { agent: config.build().new_agent(), patience }
    }

    /// The file at `url` from byte `begin` on, or from its first where the mirror sends no parts.
    ///
    /// # Errors
    /// The end of a sentence about the mirror.
    pub(super) fn get(&self, url: &str, begin: u64) -> Result<Stream, String> {
        let request = self.agent.get(url);
        let request = if begin > 0 { request.header(RANGE, format!("bytes={begin}-")) } else { request };
        let response = request.call().map_err(|e| self.reason(&e) + &self.through_proxy())?;
        let status = response.status();
        let begin = match status {
            StatusCode::OK => 0,
            StatusCode::PARTIAL_CONTENT => {
                let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
                let first = range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next());
                match first.and_then(|first| first.trim().parse::<u64>().ok()) {
                    Some(first) if first == begin => begin,
                    _ => return Err("answered with a part that was not asked for".into()),
                }
            }
            // What is there is no beginning of this file.
            StatusCode::RANGE_NOT_SATISFIABLE if begin > 0 => return self.get(url, 0),
            _ => return Err(format!("answered {status}{}", self.through_proxy())),
        };
        let body = response.into_body();
        let total = body.content_length().map(|length| begin + length);
        Ok(Stream { body: Box::new(body.into_reader()), begin, total })
    }

    /// Why a download broke off, as the end of such a sentence.
    pub(super) fn why(&self, error: io::Error) -> String {
        match error.kind() {
            ErrorKind::UnexpectedEof => "broke off".into(),
            _ => self.reason(&ureq::Error::from(error)),
        }
    }

    fn reason(&self, error: &ureq::Error) -> String {
        match error {
            ureq::Error::Timeout(_) => format!("sent nothing for {} seconds", self.patience.as_secs_f32()),
            ureq::Error::HostNotFound => "cannot be reached: the host is not found".into(),
            ureq::Error::Io(e) => match e.kind() {
                ErrorKind::UnexpectedEof => "ended the connection without an answer".into(),
                // So rustls reports what it does not trust or understand.
                ErrorKind::InvalidData => {
                    format!("has no secure connection: {e}; {CERTIFICATES} names certificates to trust")
                }
                // The standard library has no kind for the failures of the system's resolver.
                _ if e.raw_os_error().is_none() && e.to_string().contains("lookup address") => {
                    "cannot be reached: the host is not found".into()
                }
                _ => format!("cannot be reached: {e}"),
            },
            other => format!("failed: {other}"),
        }
    }

    /// Names the proxy, which may be at fault.
    fn through_proxy(&self) -> String {
        let proxy = self.agent.config().proxy();
        proxy.map_or(String::new(), |proxy| format!(" through the proxy {}:{}", proxy.host(), proxy.port()))
    }
}

/// The certificates to trust.
fn roots() -> Result<RootCerts> {
    let Some(path) = std::env::var_os(CERTIFICATES).filter(|path| !path.is_empty()) else {
        return Ok(RootCerts::WebPki);
    };
    let path = std::path::Path::new(&path);
    let text = std::fs::read(path).map_err(Error::io("read", path))?;
    let certificates: Vec<_> = parse_pem(&text)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    match certificates.is_empty() {
        true => Err(Error::content(path, format!("has no certificates; {CERTIFICATES} names it"))),
        false => Ok(RootCerts::from(certificates)),
    }
}
