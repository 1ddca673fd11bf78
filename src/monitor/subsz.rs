//! `/subsz`: match trees and the subscriptions in them.
//!
//! Invariants: figures of several accounts are added up, the largest fan-out is the
//! largest of all, the mean fan-out and the hit rate are computed from the sums; `total`
//! counts what the filters leave, also off the page; only the page is kept.

use serde::Serialize;

use super::go_format::{Float, Time, is_zero};
use super::paging::Page;
use super::source::{Source, SublistSnapshot, SubscriptionSnapshot};
use crate::subject::{tokens, wildcard};

/// What a caller may ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubszOptions {
    /// Where the page begins.
    pub offset: i64,
    /// How long the page is.
    pub limit: i64,
    /// Show the subscriptions.
    pub subscriptions: bool,
    /// Only this account.
    pub account: String,
    /// Only subscriptions that a message to this subject would reach.
    pub test: String,
}

/// The subject to test with could not be published to.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid test subject, must be valid publish subject: {0}")]
pub struct InvalidTestSubject(String);

/// The answer.
#[derive(Debug, Serialize)]
pub struct Subsz {
    server_id: String,
    now: Time,
    #[serde(flatten)]
    stats: SublistStats,
    total: usize,
    offset: i64,
    limit: i64,
    #[serde(skip_serializing_if = "is_zero")]
    subscriptions_list: Vec<SubscriptionDetail>,
}

impl Subsz {
    /// Answers `options`.
    pub fn new(source: &dyn Source, options: &SubszOptions) -> Result<Self, InvalidTestSubject> {
        if !options.test.is_empty() && !tokens::is_plain(&options.test) {
            return Err(InvalidTestSubject(options.test.clone()));
        }
        let account = Some(options.account.as_str()).filter(|account| !account.is_empty());
        let page = Page::new(options.offset, options.limit);
        let sublists = match account {
            Some(account) => source.account(account).into_iter().collect(),
            None => source.accounts(),
        };
        let (mut details, mut total) = (Vec::new(), 0);
        if options.subscriptions {
            source.visit_subscriptions(account, &mut |sub| {
                let reached = options.test.is_empty()
                    || wildcard::covers(sub.subject.as_bytes(), options.test.as_bytes());
                if reached {
                    if page.shows(total) {
                        details.push(SubscriptionDetail::of_account(sub));
                    }
                    total += 1;
                }
            });
        }
        Ok(Subsz {
            server_id: source.facts().server_id.clone(),
            now: Time(source.now()),
            stats: SublistStats::sum(sublists.iter().map(|account| account.sublist)),
            total,
            offset: page.offset,
            limit: page.limit,
            subscriptions_list: details,
        })
    }
}

/// Figures of one or more match trees.
#[derive(Debug, PartialEq, Serialize)]
pub struct SublistStats {
    num_subscriptions: u64,
    num_cache: u64,
    num_inserts: u64,
    num_removes: u64,
    num_matches: u64,
    cache_hit_rate: Float,
    max_fanout: u64,
    avg_fanout: Float,
}

impl SublistStats {
    /// The figures of all trees together.
    pub fn sum(trees: impl IntoIterator<Item = SublistSnapshot>) -> Self {
        let mut sum = SublistSnapshot::default();
        for tree in trees {
            sum.subscriptions += tree.subscriptions;
            sum.cached += tree.cached;
            sum.inserts += tree.inserts;
            sum.removes += tree.removes;
            sum.matches += tree.matches;
            sum.cache_hits += tree.cache_hits;
            sum.fanout_max = sum.fanout_max.max(tree.fanout_max);
            sum.fanout_total += tree.fanout_total;
        }
        let ratio = |part: u64, whole: u64| match whole {
            0 => Float(0.0),
            whole => Float(part as f64 / whole as f64),
        };
        SublistStats {
            num_subscriptions: sum.subscriptions,
            num_cache: sum.cached,
            num_inserts: sum.inserts,
            num_removes: sum.removes,
            num_matches: sum.matches,
            cache_hit_rate: ratio(sum.cache_hits, sum.matches),
            max_fanout: sum.fanout_max,
            avg_fanout: ratio(sum.fanout_total, sum.cached),
        }
    }
}

/// One subscription.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct SubscriptionDetail {
    #[serde(skip_serializing_if = "is_zero")]
    account: String,
    #[serde(skip_serializing_if = "is_zero")]
    account_tag: String,
    subject: String,
    #[serde(skip_serializing_if = "is_zero")]
    qgroup: String,
    sid: String,
    msgs: u64,
    #[serde(skip_serializing_if = "is_zero")]
    max: u64,
    cid: u64,
}

impl SubscriptionDetail {
    /// As shown in a list over accounts: with the account.
    pub fn of_account(subscription: SubscriptionSnapshot) -> Self {
        SubscriptionDetail {
            account: subscription.account,
            account_tag: subscription.account_tag,
            subject: subscription.subject,
            qgroup: subscription.queue,
            sid: subscription.sid,
            msgs: subscription.msgs,
            max: subscription.max,
            cid: subscription.cid,
        }
    }

    /// As shown under an open connection: without the account.
    pub fn of_connection(subscription: SubscriptionSnapshot) -> Self {
        Self::of_account(SubscriptionSnapshot {
            account: String::new(),
            account_tag: String::new(),
            ..subscription
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_computed_from_sums() {
        let tree = |cached, matches, cache_hits, fanout_max, fanout_total| SublistSnapshot {
            cached,
            matches,
            cache_hits,
            fanout_max,
            fanout_total,
            ..SublistSnapshot::default()
        };
        let sum = SublistStats::sum([
            tree(17, 22, 5, 1, 8),
            tree(1, 1, 0, 2, 1),
            tree(1, 4, 0, 0, 0),
        ]);
        assert_eq!(sum.cache_hit_rate, Float(5.0 / 27.0));
        assert_eq!(sum.avg_fanout, Float(9.0 / 19.0));
        assert_eq!(sum.max_fanout, 2);
        let nothing = SublistStats::sum([]);
        assert_eq!(
            (nothing.cache_hit_rate, nothing.avg_fanout),
            (Float(0.0), Float(0.0))
        );
    }
}
