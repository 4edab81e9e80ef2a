//! Remembered requests, behind the same lock as servers and meetings.

use async_trait::async_trait;
use domain::Timestamp;

use super::pool_store::MemoryPoolStore;
use crate::ports::{KeyedRequest, RememberedRequests, RequestClaim, StoreError};

#[async_trait]
impl RememberedRequests for MemoryPoolStore {
    async fn claim_request(
        &self,
        request: &KeyedRequest,
        now: Timestamp,
        until: Timestamp,
        max: usize,
    ) -> Result<RequestClaim, StoreError> {
        let requests = &mut self.lock().requests;
        requests.retain(|_, (.., until)| now < *until);
        match requests.get(&request.key) {
            Some((fingerprint, ..)) if *fingerprint != request.fingerprint => {
                return Ok(RequestClaim::OtherRequest);
            }
            Some((_, Some(answer), _)) => return Ok(RequestClaim::Answered(answer.clone())),
            Some((_, None, _)) => return Ok(RequestClaim::UnderWay),
            None => {}
        }
        requests.insert(request.key.clone(), (request.fingerprint.clone(), None, until));
        while requests.len() > max {
            let first = requests.iter().min_by_key(|(key, (.., until))| (*until, (*key).clone()));
            let Some(first) = first.map(|(key, _)| key.clone()) else { break };
            requests.remove(&first);
        }
        Ok(RequestClaim::Claimed)
    }

    async fn remember_answer(
        &self,
        request: &KeyedRequest,
        answer: &str,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let requests = &mut self.lock().requests;
        let entry = (request.fingerprint.clone(), Some(answer.to_owned()), until);
        if requests.get(&request.key).is_some_and(|(found, ..)| *found == request.fingerprint) {
            requests.insert(request.key.clone(), entry);
        }
        Ok(())
    }

    async fn forget_request(&self, request: &KeyedRequest) -> Result<(), StoreError> {
        let requests = &mut self.lock().requests;
        let is_open = |(found, answer, _): &(String, Option<String>, Timestamp)| {
            *found == request.fingerprint && answer.is_none()
        };
        if requests.get(&request.key).is_some_and(is_open) {
            requests.remove(&request.key);
        }
        Ok(())
    }
}
