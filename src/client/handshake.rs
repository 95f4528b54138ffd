//! Knows how a connection is opened: the HTTP upgrade, as the client, and where redirects lead.
//! Does not know how a server is reached, nor when to try again.

use std::time::Duration;

use super::answer;
use super::dial::{Dialled, Progress, dial};
use crate::connection::tls_info;
use crate::error::HttpAnswer;
use crate::events::OpenInfo;
use crate::protocol::deflate::{Agreed, Wishes};
use crate::protocol::head::{HeadScanner, Limits, Response};
use crate::protocol::login::Login;
use crate::protocol::proxy::{self, Environment};
use crate::protocol::redirect;
use crate::protocol::upgrade::{self, ClientRequest};
use crate::protocol::url::Url;
use crate::transport::{Stream, tls};

/// What the opening needs.
#[derive(Clone)]
pub struct Target {
    /// Where to.
    pub url: Url,
    /// Sub-protocols to offer, the best first.
    pub protocols: Vec<String>,
    /// Headers of the host.
    pub headers: Vec<(String, String)>,
    /// How TLS is spoken to the server of the url; none: it is not.
    pub tls: Option<tls::ClientConfig>,
    /// What the host wishes of TLS, for wherever else it is spoken.
    pub tls_wishes: tls::ClientSettings,
    /// Who we are to the server.
    pub login: Option<Login>,
    /// Redirects to follow at most.
    pub max_redirects: usize,
    /// How to reach it.
    pub proxy: proxy::Choice,
    /// What the environment said of proxies when the host started the client.
    pub environment: Environment,
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

/// Opens a connection, where redirects lead too. Has no deadline of its own: the caller drops it.
pub async fn open(target: &Target, progress: &Progress) -> Result<Opened, Failure> {
    let mut seen = vec![target.url.clone()];
    let mut url = target.url.clone();
    let mut is_at_home = true;
    loop {
        let response = match ask(target, &url, is_at_home, progress).await? {
            Asked::Open(opened) => return Ok(*opened),
            Asked::Redirected(response) => response,
        };
        let next = next_of(&response, &url, &seen, target.max_redirects);
        let next = next.map_err(|reason| Failure {
            reason,
            answer: Some(Box::new(HttpAnswer {
                status: response.status,
                headers: response.headers.0,
                body: String::new(),
            })),
        })?;
        // Once away, the way back brings nothing back: who leads there may not be meant to use what we have.
        is_at_home &= next.has_origin_of(&url);
        seen.push(next.clone());
        url = next;
    }
}

/// Where a redirect leads, if there is an end to them.
fn next_of(response: &Response, url: &Url, seen: &[Url], max: usize) -> Result<Url, String> {
    let location = redirect::location(response).unwrap_or_default();
    let next = redirect::follow(url, location)?;
    if seen.contains(&next) {
        return Err(format!("the server redirects in a circle, back to {next}"));
    }
    if seen.len() > max {
        return Err(format!(
            "the server redirects more often than followRedirects allows ({max}), now to {next}"
        ));
    }
    Ok(next)
}

enum Asked {
    Open(Box<Opened>),
    Redirected(Response),
}

/// Asks one server for a WebSocket; away from the origin that the host meant, without its secrets.
async fn ask(
    target: &Target,
    url: &Url,
    is_at_home: bool,
    progress: &Progress,
) -> Result<Asked, Failure> {
    let mut headers = target.headers.clone();
    if !is_at_home {
        // Any other may hold a token, or belong to the first server, as Host does.
        headers.retain(|(name, _)| {
            ["User-Agent", "Origin"]
                .iter()
                .any(|harmless| name.eq_ignore_ascii_case(harmless))
        });
    }
    let request = ClientRequest::new(
        url,
        target.protocols.clone(),
        target.deflate.as_ref().map(Wishes::offer),
        headers,
        target.login.as_ref().filter(|_| is_at_home),
    )?;
    let Dialled { stream, peer } = dial(target, url, is_at_home, progress).await?;
    progress.is("it does not answer the upgrade request");
    stream
        .write_all(&request.encode())
        .await
        .map_err(|error| format!("{peer}: {error}"))?;
    let (response, rest) = read_response(&stream, &peer, &target.head).await?;
    if target.max_redirects > 0 && redirect::location(&response).is_some() {
        return Ok(Asked::Redirected(response));
    }
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
    let (remote_ip, remote_port) = match url.socket {
        None => (stream.peer().ip().to_string(), stream.peer().port()),
        Some(_) => (String::new(), 0),
    };
    let info = OpenInfo {
        uri: url.target.clone(),
        url: url.to_string(),
        headers: response.headers.0,
        protocol: accepted.protocol.unwrap_or_default(),
        extensions,
        tls_at_proxy: false,
        remote_ip,
        remote_port,
        tls: tls_info(&stream),
    };
    Ok(Asked::Open(Box::new(Opened {
        stream,
        info,
        agreed,
        rest,
    })))
}

async fn read_response(
    stream: &Stream,
    peer: &str,
    limits: &Limits,
) -> Result<(Response, Vec<u8>), Failure> {
    let mut bytes = Vec::new();
    let mut scanner = HeadScanner::default();
    loop {
        let length = stream
            .read_onto(&mut bytes)
            .await
            .map_err(|error| format!("{peer}: {error}"))?;
        if length == 0 {
            return Err(
                format!("{peer} ended the connection before its answer was complete").into(),
            );
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
