//! Options of system requests: JSON in a body, decoded with the error texts of Go.
//!
//! Separate because it is lenient in its own way: keys match in any case, unknown keys are
//! ignored, `null` is the default; and because tools show its error texts.
//!
//! Invariants: an empty body and `null` are all defaults; the first mismatch is reported;
//! nesting is bounded by the JSON parser.

use data_encoding::BASE64;
use serde_json::{Map, Value};

use super::accstatz::AccountStatzOptions;
use super::connz::{ConnectionState, ConnzOptions};
use super::healthz::HealthzOptions;
use super::jsz::JszOptions;
use super::source::ServerFacts;
use super::subsz::SubszOptions;

/// A body that could not be decoded; the description of an error 400.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadOptions(String);

/// The fields of a body, to be taken one by one.
#[derive(Debug)]
pub struct Fields {
    type_name: &'static str,
    fields: Map<String, Value>,
    problem: Option<BadOptions>,
}

impl Fields {
    /// Reads a body; `type_name` is the name that error texts give it.
    pub fn parse(type_name: &'static str, body: &[u8]) -> Result<Self, BadOptions> {
        let value = match body {
            [] => Value::Null,
            body => serde_json::from_slice(body).map_err(|err| syntax_error(body, &err))?,
        };
        let fields = match value {
            Value::Null => Map::new(),
            Value::Object(fields) => fields
                .into_iter()
                .map(|(name, value)| (name.to_ascii_lowercase(), value))
                .collect(),
            other => {
                let found = described(&other);
                return Err(BadOptions(format!(
                    "json: cannot unmarshal {found} into Go value of type server.{type_name}"
                )));
            }
        };
        Ok(Fields {
            type_name,
            fields,
            problem: None,
        })
    }

    fn take<T: Default>(
        &mut self,
        name: &str,
        type_name: &str,
        convert: impl FnOnce(&Value) -> Option<T>,
    ) -> T {
        let value = match self.fields.get(name) {
            None | Some(Value::Null) => return T::default(),
            Some(value) => value,
        };
        let converted = convert(value);
        if converted.is_none() && self.problem.is_none() {
            // A number of the wrong kind is named, one where a number has no place is not.
            let found = match value {
                Value::Number(number) if type_name.contains("int") => format!("number {number}"),
                other => described(other).to_owned(),
            };
            self.problem = Some(BadOptions(format!(
                "json: cannot unmarshal {found} into Go struct field {}.{name} of type {type_name}",
                self.type_name
            )));
        }
        converted.unwrap_or_default()
    }

    fn boolean(&mut self, name: &str) -> bool {
        self.take(name, "bool", Value::as_bool)
    }

    fn integer(&mut self, name: &str) -> i64 {
        self.take(name, "int", Value::as_i64)
    }

    fn unsigned(&mut self, name: &str) -> u64 {
        self.take(name, "uint64", Value::as_u64)
    }

    fn text(&mut self, name: &str) -> String {
        self.text_of_type(name, "string")
    }

    fn text_of_type(&mut self, name: &str, type_name: &str) -> String {
        self.take(name, type_name, |value| value.as_str().map(str::to_owned))
    }

    fn texts(&mut self, name: &str) -> Vec<String> {
        self.take(name, "[]string", |value| {
            let entries = value.as_array()?.iter();
            entries
                .map(|entry| entry.as_str().map(str::to_owned))
                .collect()
        })
    }

    fn bytes(&mut self, name: &str) -> Option<Vec<u8>> {
        self.take(name, "[]uint8", |value| {
            let decoded = BASE64.decode(value.as_str()?.as_bytes()).ok()?;
            Some(Some(decoded))
        })
    }

    fn finish<T>(self, options: T) -> Result<T, BadOptions> {
        self.problem.map_or(Ok(options), Err)
    }
}

/// The kind of a JSON value in Go's words.
const fn described(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The text for a body that is no JSON: what is wrong, in the words of Go where its place is
/// known; a broken word or number is told like any other unexpected character.
fn syntax_error(body: &[u8], err: &serde_json::Error) -> BadOptions {
    if err.is_eof() {
        return BadOptions("unexpected end of JSON input".to_owned());
    }
    let line = body
        .split(|byte| *byte == b'\n')
        .nth(err.line().saturating_sub(1));
    let found = line.and_then(|line| line.get(err.column().saturating_sub(1)));
    let found = char::from(found.copied().unwrap_or(b'?'));
    let message = err.to_string();
    let place = [
        (
            "key must be a string",
            "looking for beginning of object key string",
        ),
        (
            "trailing comma",
            "looking for beginning of object key string",
        ),
        ("trailing characters", "after top-level value"),
        ("expected `,` or `}`", "after object key:value pair"),
        ("expected `,` or `]`", "after array element"),
        ("expected `:`", "after object key"),
    ]
    .into_iter()
    .find(|(start, _)| message.starts_with(start))
    .map_or("looking for beginning of value", |(_, place)| place);
    BadOptions(format!("invalid character '{found}' {place}"))
}

/// Which servers are asked; the others stay silent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    server_name: String,
    cluster: String,
    host: String,
    exact_match: bool,
    tags: Vec<String>,
    domain: String,
}

impl EventFilter {
    fn take(fields: &mut Fields) -> Self {
        EventFilter {
            server_name: fields.text("server_name"),
            cluster: fields.text("cluster"),
            host: fields.text("host"),
            exact_match: fields.boolean("exact_match"),
            tags: fields.texts("tags"),
            domain: fields.text("domain"),
        }
    }

    /// Whether this server is asked.
    pub fn matches(&self, facts: &ServerFacts) -> bool {
        let fits = |wanted: &str, own: &str| {
            wanted.is_empty()
                || if self.exact_match {
                    own == wanted
                } else {
                    own.contains(wanted)
                }
        };
        let has_tag = |tag: &String| facts.tags.iter().any(|own| own.eq_ignore_ascii_case(tag));
        fits(&self.server_name, &facts.server_name)
            && fits(&self.host, &facts.host)
            && fits(&self.cluster, &facts.cluster_name)
            && self.tags.iter().all(has_tag)
            && (self.domain.is_empty() || self.domain == facts.domain)
    }
}

/// Options of a request, and whom it asks.
pub type Filtered<T> = Result<(T, EventFilter), BadOptions>;

fn filtered<T>(
    type_name: &'static str,
    body: &[u8],
    take: impl FnOnce(&mut Fields) -> T,
) -> Filtered<T> {
    let mut fields = Fields::parse(type_name, body)?;
    let options = take(&mut fields);
    let filter = EventFilter::take(&mut fields);
    fields.finish((options, filter))
}

/// Options of requests that have none but the filter.
pub fn filter_only(type_name: &'static str, body: &[u8]) -> Filtered<()> {
    filtered(type_name, body, |_| ())
}

/// Options of CONNZ.
pub fn connz(body: &[u8]) -> Filtered<ConnzOptions> {
    filtered("ConnzEventOptions", body, |fields| ConnzOptions {
        sort: fields.text_of_type("sort", "server.SortOpt"),
        auth: fields.boolean("auth"),
        subscriptions: fields.boolean("subscriptions"),
        subscriptions_detail: fields.boolean("subscriptions_detail"),
        offset: fields.integer("offset"),
        limit: fields.integer("limit"),
        cid: fields.unsigned("cid"),
        mqtt_client: fields.text("mqtt_client"),
        state: ConnectionState::from_number(fields.take(
            "state",
            "server.ConnState",
            Value::as_i64,
        )),
        user: fields.text("user"),
        account: fields.text("acc"),
        filter_subject: fields.text("filter_subject"),
    })
}

/// Options of SUBSZ.
pub fn subsz(body: &[u8]) -> Filtered<SubszOptions> {
    filtered("SubszEventOptions", body, |fields| SubszOptions {
        offset: fields.integer("offset"),
        limit: fields.integer("limit"),
        subscriptions: fields.boolean("subscriptions"),
        account: fields.text("account"),
        test: fields.text("test"),
    })
}

/// Options of ACCOUNTZ: the account.
pub fn accountz(body: &[u8]) -> Filtered<String> {
    filtered("AccountzEventOptions", body, |fields| {
        fields.text("account")
    })
}

/// Options of STATZ of accounts.
pub fn account_statz(body: &[u8]) -> Filtered<AccountStatzOptions> {
    filtered("AccountStatzEventOptions", body, |fields| {
        AccountStatzOptions {
            accounts: fields.texts("accounts"),
            include_unused: fields.boolean("include_unused"),
        }
    })
}

/// Options of JSZ.
pub fn jsz(body: &[u8]) -> Filtered<JszOptions> {
    filtered("JszEventOptions", body, |fields| JszOptions {
        account: fields.text("account"),
        accounts: fields.boolean("accounts"),
        streams: fields.boolean("streams"),
        consumers: fields.boolean("consumer"),
        config: fields.boolean("config"),
        leader_only: fields.boolean("leader_only"),
        raft: fields.boolean("raft"),
        offset: fields.integer("offset"),
        limit: fields.integer("limit"),
    })
}

/// Options of HEALTHZ.
pub fn healthz(body: &[u8]) -> Filtered<HealthzOptions> {
    filtered("HealthzEventOptions", body, |fields| HealthzOptions {
        account: fields.text("account"),
        stream: fields.text("stream"),
        consumer: fields.text("consumer"),
        server_only: fields.boolean("js_enabled_only") | fields.boolean("js_server_only"),
        details: fields.boolean("details"),
    })
}

/// The connection that KICK or LDM is about; the filter is decoded apart.
pub fn connection_id(body: &[u8]) -> Result<u64, BadOptions> {
    if body.is_empty() {
        return Err(BadOptions("unexpected end of JSON input".to_owned()));
    }
    let mut fields = Fields::parse("KickClientReq", body)?;
    let cid = fields.unsigned("cid");
    fields.finish(cid)
}

/// The account that CONNS is about, if the body names one.
pub fn conns_account(body: &[u8]) -> Result<Option<String>, BadOptions> {
    let mut fields = Fields::parse("accNumConnsReq", body)?;
    let account = fields.text("acc");
    fields.finish(Some(account).filter(|account| !account.is_empty()))
}

/// Whose subscribers are to be counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriberQuestion {
    /// The account.
    pub account: String,
    /// A subject, or a filter.
    pub subject: String,
    /// Only members of this queue group.
    pub queue: Option<String>,
}

/// The question of NSUBS; none in an empty body.
pub fn subscribers(body: &[u8]) -> Result<SubscriberQuestion, BadOptions> {
    let mut fields = Fields::parse("accNumSubsReq", body)?;
    let question = SubscriberQuestion {
        account: fields.text("acc"),
        subject: fields.text("subject"),
        queue: fields
            .bytes("queue")
            .map(|queue| String::from_utf8_lossy(&queue).into_owned()),
    };
    fields.finish(question)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_match_in_any_case_and_null_is_the_default() {
        let check = |body: &str, limit: i64| {
            let (options, _) = connz(body.as_bytes()).expect("good options");
            assert_eq!(options.limit, limit, "{body}");
        };
        check("", 0);
        check("null", 0);
        check("{}", 0);
        check("{\"LIMIT\":3,\"unknown\":[1]}", 3);
        check("{\"limit\":null}", 0);
    }

    #[test]
    fn filter_leaves_servers_out() {
        let facts = ServerFacts {
            server_name: "golden".to_owned(),
            host: "golden.example".to_owned(),
            cluster_name: "east".to_owned(),
            tags: vec!["az:one".to_owned(), "disk:ssd".to_owned()],
            ..ServerFacts::default()
        };
        for (body, expected) in [
            ("{}", true),
            (r#"{"server_name":"gold"}"#, true),
            (r#"{"server_name":"gold","exact_match":true}"#, false),
            (r#"{"server_name":"golden","exact_match":true}"#, true),
            (r#"{"host":"example"}"#, true),
            (r#"{"host":"other"}"#, false),
            (r#"{"cluster":"eas"}"#, true),
            (r#"{"cluster":"west"}"#, false),
            (r#"{"tags":["AZ:one","disk:ssd"]}"#, true),
            (r#"{"tags":["az:one","disk:hdd"]}"#, false),
            (r#"{"domain":"hub"}"#, false),
        ] {
            let ((), filter) = filter_only("X", body.as_bytes()).expect("good options");
            assert_eq!(filter.matches(&facts), expected, "{body}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_body_is_read_without_panic(body: Vec<u8>) {
            let _ = (connz(&body), subsz(&body), subscribers(&body), connection_id(&body));
        }
    }
}
