use treescope::{Runtime, Scope};
fn fib<'s>(scope: &'s Scope<'s, '_>, n: u32) -> impl Future<Output = u64> + Send {
    async move {
        if n < 2 {
            return n.into();
        }
        let l = scope.scope(async move |i| fib(i, n - 1).await);
        let r = scope.scope(async move |i| fib(i, n - 2).await);
        l.await + r.await
    }
}
#[test]
fn fib_works() {
    for w in [1, 2, 4] {
        let rt = Runtime::builder().worker_threads(w).build().unwrap();
        for _ in 0..20 {
            assert_eq!(rt.block_on(async |s| fib(s, 15).await), 610);
        }
    }
}
#[test]
fn deep() {
    fn go<'s>(scope: &'s Scope<'s, '_>, n: u32) -> std::pin::Pin<Box<dyn Future<Output = u32> + Send + 's>> {
        Box::pin(
            async move { if n == 0 { 0 } else { scope.scope(async move |i| go(i, n - 1).await).await + 1 } },
        )
    }
    for w in [1, 2] {
        let rt = Runtime::builder().worker_threads(w).build().unwrap();
        assert_eq!(rt.block_on(async |s| s.scope(async |i| go(i, 100_000).await).await), 100_000);
    }
}
#[test]
fn panics() {
    let rt = Runtime::builder().worker_threads(2).build().unwrap();
    let r = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        rt.block_on(async |s| {
            s.scope(async |i| {
                i.spawn(async { panic!("boom") });
                std::future::pending::<()>().await
            })
            .await
        })
    }));
    assert_eq!(*r.unwrap_err().downcast::<&str>().unwrap(), "boom");
}
