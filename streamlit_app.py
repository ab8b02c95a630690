"""TrendCast: the page router, and the server that carries it."""

import streamlit as st

if __name__ == "__main__":  # Streamlit runs this file as the script of a session
    from trendcast.ui import shell

    shell.pages().run()
else:  # the server imports it: the ASGI app. Must be a literal st.App(...)
    from trendcast import server

    app = st.App(
        __file__,
        routes=server.routes(),
        middleware=server.middleware(),
        lifespan=server.lifespan,
        secrets=server.secrets(),
    )
