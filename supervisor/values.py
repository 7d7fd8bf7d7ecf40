"""Classes of named fields, as ``dataclasses`` makes them, for a fifteenth of what they cost at a start.

``dataclasses`` compiles six functions for a class when its module is imported: for the two hundred classes of this
program that was half of the time of all its imports, and 2 MB. Here all classes share those functions but ``__init__``,
and that one is compiled when the first object is made.

To a type checker the names are the standard library's, and ``tests/test_values.py`` holds both to the same cases. What
no class of ours asks for is not there: classes without slots, an ``__init__`` of their own, ``init=False``,
``ClassVar``, ``InitVar``, ``__post_init__``.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass, field, fields, is_dataclass, replace

    __all__ = ("dataclass", "field", "fields", "is_dataclass", "replace")
else:
    from collections.abc import Callable
    from operator import attrgetter

    Key = Callable[[Any], Any]
    MISSING = object()

    class Field:
        """What is said of one field."""

        __slots__ = ("compare", "default", "factory", "is_keyword", "name")

        def __init__(self, name: str, default: Any, factory: Any, *, is_keyword: bool, compare: bool) -> None:
            self.name = name
            self.default = default
            self.factory = factory
            self.is_keyword = is_keyword
            self.compare = compare

    def dataclass(
        *, slots: bool, frozen: bool = False, kw_only: bool = False, order: bool = False
    ) -> Callable[[type], type]:
        """Make a class with slots from the annotations of the decorated one."""
        assert slots

        def made(cls: type) -> type:
            return _made(cls, is_frozen=frozen, is_keyword=kw_only, is_ordered=order)

        return made

    def field(*, default: Any = MISSING, default_factory: Any = None, compare: bool = True) -> Any:
        """Say more of a field than its default."""
        return Field("", default, default_factory, is_keyword=False, compare=compare)

    def fields(of: Any) -> tuple[Field, ...]:
        """Return the fields of a class or an object, in their order."""
        return of.__fields__

    def is_dataclass(something: Any) -> bool:
        """Tell whether this is a class that was made here, or an object of one."""
        return hasattr(something, "__fields__")

    def replace(value: Any, /, **changes: Any) -> Any:
        """Return a value with some fields changed.

        Raises:
            TypeError: it has no such field.
        """
        cls = value.__class__
        new = cls.__new__(cls)
        for name, read, write in _accesses.get(cls) or _accesses_of(cls):
            write(new, changes.pop(name) if name in changes else read(value))
        if changes:
            raise TypeError(f"{cls.__qualname__} has no field {', '.join(map(repr, changes))}")
        return new

    _accesses: dict[type, tuple[tuple[str, Any, Any], ...]] = {}
    """How the fields of a class are read and written, for those classes that were asked."""

    def _accesses_of(cls: type) -> tuple[tuple[str, Any, Any], ...]:
        slots = [(each.name, getattr(cls, each.name)) for each in cls.__fields__]
        _accesses[cls] = tuple((name, slot.__get__, slot.__set__) for name, slot in slots)
        return _accesses[cls]

    def _made(cls: type, *, is_frozen: bool, is_keyword: bool, is_ordered: bool) -> type:
        own = {name: _field(cls, name, is_keyword=is_keyword) for name in cls.__annotations__}
        inherited = {each.name: each for base in reversed(cls.__mro__[1:]) for each in getattr(base, "__fields__", ())}
        every = tuple((inherited | own).values())
        key = _key(tuple(each.name for each in every if each.compare))
        space = {name: each for name, each in vars(cls).items() if name not in {*own, "__dict__", "__weakref__"}}
        space |= {"__slots__": tuple(name for name in own if name not in inherited), "__fields__": every}
        space["__qualname__"] = cls.__qualname__
        space.setdefault("__match_args__", tuple(each.name for each in every if not each.is_keyword))
        space.setdefault("__repr__", _repr)
        space.setdefault("__eq__", _eq_by(key))
        if is_frozen:
            space |= {"__setattr__": _refuse, "__delattr__": _refuse, "__getstate__": _state, "__setstate__": _restore}
        space.setdefault("__hash__", _hash_by(key) if is_frozen else None)
        if is_ordered:
            space |= {"__lt__": _lt_by(key), "__le__": _le_by(key)}  # Python makes the others of them
        made = type(cls)(cls.__name__, cls.__bases__, space)
        made.__init__ = _init_of(made)
        return made

    def _field(cls: type, name: str, *, is_keyword: bool) -> Field:
        said = vars(cls).get(name, MISSING)
        if isinstance(said, Field):
            return Field(name, said.default, said.factory, is_keyword=is_keyword, compare=said.compare)
        if said.__class__.__hash__ is None:
            raise ValueError(f"mutable default {said.__class__} for field {name} is not allowed: use default_factory")
        return Field(name, said, None, is_keyword=is_keyword, compare=True)

    def _key(names: tuple[str, ...]) -> Key:
        """Return what an object is compared by."""
        return attrgetter(*names) if names else lambda _: ()

    def _init_of(cls: type) -> Callable[..., None]:
        def init(self: Any, *args: Any, **kwargs: Any) -> None:
            cls.__init__ = _compiled(cls)
            cls.__init__(self, *args, **kwargs)

        return init

    def _compiled(cls: type) -> Callable[..., None]:
        """Return ``__init__`` with the fields as its parameters: Python itself tells what is wrong in a call."""
        known: dict[str, Any] = {"MISSING": MISSING}
        parameters, keywords, body = ["self"], ["*"], []
        for each in cls.__fields__:
            name, parameter, value = each.name, each.name, each.name
            known[f"set_{name}"] = getattr(cls, name).__set__
            if each.factory is not None:
                known[f"new_{name}"] = each.factory
                parameter, value = f"{name}=MISSING", f"new_{name}() if {name} is MISSING else {name}"
            elif each.default is not MISSING:
                known[f"default_{name}"] = each.default
                parameter = f"{name}=default_{name}"
            (keywords if each.is_keyword else parameters).append(parameter)
            body.append(f" set_{name}(self, {value})\n")
        if len(keywords) > 1:
            parameters += keywords
        exec(f"def __init__({', '.join(parameters)}):\n{''.join(body) or ' pass'}", known)  # noqa: S102  # names of fields
        init = known["__init__"]
        init.__qualname__ = f"{cls.__qualname__}.__init__"
        return init

    # -- what classes share --------------------------------------------------------------------------------------------

    def _repr(self: Any) -> str:
        shown = ", ".join(f"{each.name}={getattr(self, each.name)!r}" for each in self.__fields__)
        return f"{self.__class__.__qualname__}({shown})"

    def _eq_by(key: Key) -> Callable[[Any, Any], bool]:
        def eq(self: Any, other: Any) -> bool:
            return key(self) == key(other) if other.__class__ is self.__class__ else NotImplemented

        return eq

    def _hash_by(key: Key) -> Callable[[Any], int]:
        def hashed(self: Any) -> int:
            return hash(key(self))

        return hashed

    def _lt_by(key: Key) -> Callable[[Any, Any], bool]:
        def lt(self: Any, other: Any) -> bool:
            return key(self) < key(other) if other.__class__ is self.__class__ else NotImplemented

        return lt

    def _le_by(key: Key) -> Callable[[Any, Any], bool]:
        def le(self: Any, other: Any) -> bool:
            return key(self) <= key(other) if other.__class__ is self.__class__ else NotImplemented

        return le

    def _refuse(self: Any, name: str, _value: Any = None) -> None:
        raise AttributeError(f"{name} of {self.__class__.__qualname__} is not to be changed")

    def _state(self: Any) -> list[Any]:
        return [getattr(self, each.name) for each in self.__fields__]

    def _restore(self: Any, state: list[Any]) -> None:
        for (_, _, write), value in zip(_accesses_of(self.__class__), state, strict=True):
            write(self, value)
