"""SQLModel: models on the SQLAlchemy dialect."""

from __future__ import annotations

from typing import Optional

from sqlmodel import Field, Session, SQLModel, create_engine, select

import slsmysql


class Hero(SQLModel, table=True):  # type: ignore[call-arg]
    """A table and its rows."""

    id: Optional[int] = Field(default=None, primary_key=True)  # noqa: UP045 - read by SQLModel
    name: str = Field(max_length=50, index=True)
    age: Optional[int] = None  # noqa: UP045


def test_models_live_in_the_database(url: str) -> None:
    """Rows go in with their keys given by the server, and come out by a query."""
    engine = create_engine(f"{url}?conn_utilization=0.7")
    SQLModel.metadata.create_all(engine)
    with Session(engine) as session:
        heroes = [Hero(name="Deadpond"), Hero(name="Rusty-Man", age=48)]
        session.add_all(heroes)
        session.commit()
        assert [hero.id for hero in heroes] == [1, 2]
    with Session(engine) as session:
        found = session.exec(select(Hero).where(Hero.age == 48)).one()
        assert found.name == "Rusty-Man"
        session.delete(found)
        session.commit()
        assert len(session.exec(select(Hero)).all()) == 1
    slsmysql.close_all()
