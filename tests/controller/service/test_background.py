"""The service's background tasks: none ends while the service lives, and what does not work is known."""

import asyncio

from controller.service.background import Background


def test_a_task_that_fails_begins_again_and_the_others_continue() -> None:
    async def play() -> None:
        background, done = Background(min_backoff_s=0), asyncio.Event()
        attempts: list[int] = []

        async def unlucky() -> None:
            attempts.append(len(attempts))
            if len(attempts) < 4:
                raise KeyError("unforeseen")
            done.set()
            await asyncio.Event().wait()

        async def other() -> None:
            await done.wait()

        background.spawn("other", other)
        background.spawn("unlucky", unlucky)
        async with asyncio.timeout(30):
            await done.wait()
        assert attempts == [0, 1, 2, 3]
        assert background.failing == {}
        await background.close()

    asyncio.run(play())


def test_a_task_that_fails_is_known_until_it_works_again() -> None:
    async def play() -> None:
        background, failed = Background(min_backoff_s=30), asyncio.Event()

        async def broken() -> None:
            failed.set()
            raise KeyError("unforeseen")

        background.spawn("the queue", broken)
        async with asyncio.timeout(30):
            await failed.wait()
            while not background.failing:
                await asyncio.sleep(0)
        assert background.failing == {"the queue": "KeyError: 'unforeseen'"}
        await background.close()

    asyncio.run(play())


def test_a_task_that_ends_although_nobody_closed_the_service_is_known() -> None:
    async def play() -> None:
        background = Background()

        async def cancelled() -> None:
            raise asyncio.CancelledError

        background.spawn("the queue", cancelled)
        async with asyncio.timeout(30):
            while not background.failing:
                await asyncio.sleep(0)
        assert background.failing == {"the queue": "it was cancelled"}
        await background.close()

    asyncio.run(play())
