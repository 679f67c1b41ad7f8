fn main() {
    if std::env::args().nth(1).as_deref() == Some(xrun::launch::guard::COMMAND) {
        xrun::launch::guard::main();
    }
}
