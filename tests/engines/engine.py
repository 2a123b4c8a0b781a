"""The real engine with the real default model, for the length of one test. What has left its slot is gone, so that a test can begin cold."""

import asyncio

from puna import config


def on_engine(home, work, **settings):
    """Run ``work(engine)`` beside a started engine; one thread and one slot."""

    async def scenario():
        wanted = config.settings(
            {"threads": 1, "batch_threads": 1, "context": 2048, "slots": 1, "prompt_cache": 0, **settings}
        )
        spine = await config.open_spine(wanted, config.find_model(wanted))
        try:
            return await work(spine.engine)
        finally:
            await spine.engine.close()

    return asyncio.run(scenario())
