use super::*;
use crate::raft::group::Group;
