//! Knows how a connection is opened: TCP, then the HTTP upgrade, as the client.
//! Does not know when to try again.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::Duration;

use super::answer;
use crate::connection::tls_info;
use crate::error::HttpAnswer;
use crate::events::OpenInfo;
use crate::protocol::deflate::{Agreed, Wishes};
use crate::protocol::head::{HeadScanner, Limits, Response};
use crate::protocol::upgrade::{self, ClientRequest};
use crate::protocol::url::Url;
use crate::transport::{self, Stream, tls};

/// What the opening needs.
#[derive(Clone)]
pub struct Target {
    /// Where to.
    pub url: Url,
    /// Sub-protocols to offer, the best first.
    pub protocols: Vec<String>,
    /// Headers of the host.
    pub headers: Vec<(String, String)>,
    /// How TLS is spoken; none: it is not.
    pub tls: Option<tls::ClientConfig>,
    /// The compression to offer; none: none.
    pub deflate: Option<Wishes>,
    /// What the answer may be at most.
    pub head: Limits,
}

/// An open connection, with what came behind the server's answer.
pub struct Opened {
    pub stream: Stream,
    pub info: OpenInfo,
    pub agreed: Option<Agreed>,
    pub rest: Vec<u8>,
}

/// Why it did not open.
#[derive(Clone, Debug)]
pub struct Failure {
    /// In words.
    pub reason: String,
    /// What was answered instead of 101, if anything was.
    pub answer: Option<Box<HttpAnswer>>,
}

impl Failure {
    /// The status of the answer, or 0.
    pub fn http_status(&self) -> u16 {
        self.answer.as_ref().map_or(0, |answer| answer.status)
    }

    /// How long the server asks us to stay away (RFC 9110 § 10.2.3; its form with a date is not looked at).
    pub fn retry_after(&self) -> Option<Duration> {
        let answer = self.answer.as_ref()?;
        let (_, value) = answer
            .headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("Retry-After"))?;
        value.trim().parse().ok().map(Duration::from_secs)
    }
}

impl From<String> for Failure {
    fn from(reason: String) -> Failure {
        Failure {
            reason,
            answer: None,
        }
    }
}

/// How far an opening has come, for whoever gives up on it.
#[derive(Default)]
pub struct Progress(AtomicU8);

impl Progress {
    /// What was being waited for.
    pub fn phase(&self) -> &'static str {
        match self.0.load(Relaxed) {
            0 => "its name is still being looked up",
            1 => "no address of it answers",
            2 => "it does not answer in TLS",
            _ => "it does not answer the upgrade request",
        }
    }
}

/// Opens a connection. Has no deadline of its own: the caller drops it.
pub async fn open(target: &Target, progress: &Progress) -> Result<Opened, Failure> {
    let request = ClientRequest::new(
        &target.url,
        target.protocols.clone(),
        target.deflate.as_ref().map(Wishes::offer),
        target.headers.clone(),
    )?;
    let addresses = transport::resolve(&target.url.host, target.url.port).await?;
    progress.0.store(1, Relaxed);
    let mut stream = transport::connect(&target.url.host, addresses).await?;
    if let Some(config) = &target.tls {
        progress.0.store(2, Relaxed);
        let host = &target.url.host;
        let secured = tls::connect(stream, config, host).await;
        stream = secured.map_err(|problem| format!("TLS with \"{host}\": {problem}"))?;
    }
    progress.0.store(3, Relaxed);
    let broken = |error: std::io::Error| format!("{}: {error}", stream.peer());
    stream.write_all(&request.encode()).await.map_err(broken)?;
    let (response, rest) = read_response(&stream, &target.head).await?;
    let checked = upgrade::check_response(&response, &request).and_then(|accepted| {
        let agreed = match &target.deflate {
            Some(wishes) => wishes.check_answer(&accepted.extensions)?,
            None => None,
        };
        Ok((accepted, agreed))
    });
    let (accepted, agreed) = match checked {
        Ok(accepted) => accepted,
        Err(reason) => {
            let answer = answer::read(&stream, response, rest).await;
            return Err(Failure {
                reason,
                answer: Some(Box::new(answer)),
            });
        }
    };
    let extensions = agreed.and(response.headers.get("Sec-WebSocket-Extensions"));
    let extensions = extensions.unwrap_or_default().to_owned();
    let peer = stream.peer();
    let info = OpenInfo {
        uri: target.url.target.clone(),
        headers: response.headers.0,
        protocol: accepted.protocol.unwrap_or_default(),
        extensions,
        remote_ip: peer.ip().to_string(),
        remote_port: peer.port(),
        tls: tls_info(&stream),
    };
    Ok(Opened {
        stream,
        info,
        agreed,
        rest,
    })
}

async fn read_response(stream: &Stream, limits: &Limits) -> Result<(Response, Vec<u8>), Failure> {
    let mut bytes = Vec::new();
    let mut scanner = HeadScanner::default();
    loop {
        let length = stream
            .read_onto(&mut bytes)
            .await
            .map_err(|error| format!("{}: {error}", stream.peer()))?;
        if length == 0 {
            return Err(format!(
                "{} ended the connection before its answer was complete",
                stream.peer()
            )
            .into());
        }
        while let Some((response, consumed)) = scanner.response(&bytes, limits)? {
            bytes.drain(..consumed);
            // RFC 9110 § 15.2: an interim answer says nothing yet.
            if !response.is_interim() {
                return Ok((response, bytes));
            }
            scanner = HeadScanner::default();
        }
    }
}
