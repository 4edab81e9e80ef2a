//! What tests of shared pools begin with: two balancers in front of the same servers, a server under two names.

use crate::tools::{create, start_deployment};
use testkit::product::Product;

/// The URLs of the servers that a balancer knows.
async fn server_urls(product: &Product) -> Vec<String> {
    product.list_loads().await.unwrap().into_iter().map(|(url, _)| url).collect()
}

#[tokio::test]
async fn two_balancers_are_in_front_of_the_same_servers() {
    let world = start_deployment(2).await;
    let binary = env!("CARGO_BIN_EXE_scalelite");
    let second = world.start_second_balancer(binary, &[]).await.unwrap();
    let urls = server_urls(&world.product).await;
    assert_eq!((urls.len(), server_urls(&second).await), (2, urls));
    create(&world.product, "ours").await;
    create(&second, "theirs").await;
    for id in ["ours", "theirs"] {
        assert_eq!(world.servers_with(id).len(), 1, "{id}");
    }
    // Neither has a store that the other one knows.
    let unknown = second.call("getMeetingInfo", "meetingID=ours").await.unwrap();
    assert_eq!(unknown.xml_field("messageKey"), "notFound");
}

#[tokio::test]
async fn one_server_is_known_under_two_names() {
    let world = start_deployment(1).await;
    let (url, id) = world.add_twin(1).await.unwrap();
    assert!(!id.is_empty());
    let mut expected = vec![world.pool.server(1).url(), url];
    expected.sort();
    assert_eq!(server_urls(&world.product).await, expected);
}
