"""The description of the service, read as a machine reads it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask import Flask
from openapi_schema_validator import OAS30Validator, oas30_format_checker
from werkzeug.test import TestResponse

Json = dict[str, Any]
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


@dataclass(frozen=True)
class Description:
    """The OpenAPI document that an application serves."""

    document: Json

    def operations(self) -> Iterator[tuple[str, str, Json]]:
        """Yield path, method and operation."""
        for path, item in self.document["paths"].items():
            for method in METHODS:
                if method in item:
                    yield path, method, item[method]

    def operation(self, operation_id: str) -> Json:
        """Return the operation of an id."""
        return next(each for _, _, each in self.operations() if each["operationId"] == operation_id)

    def response(self, operation_id: str, status: int) -> Json:
        """Return what an operation is said to answer with a status."""
        return self.resolve(self.operation(operation_id)["responses"][str(status)])

    def resolve(self, described: Json) -> Json:
        """Return what `described` refers to, or itself."""
        while "$ref" in described:
            target: Any = self.document
            for part in described["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            described = target
        return described

    def problems(self, schema: Json, value: Any) -> list[str]:
        """Return what of `value` does not fit a schema of the document."""
        whole = {"allOf": [schema], "components": self.document["components"]}
        validator = OAS30Validator(whole, format_checker=oas30_format_checker)
        return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]

    def assert_fits(self, response: TestResponse, described: Json) -> None:
        """Fail unless headers, content type and, of JSON, the body are as described."""
        for name, header in described["headers"].items():
            given = response.headers.get(name)
            if given is None:
                assert not header["required"], f"{name} is missing"
            else:
                value = int(given) if header["schema"]["type"] == "integer" else given
                assert not self.problems(header["schema"], value), name
        if "content" not in described:
            assert response.data == b""
            return
        assert response.mimetype in described["content"]
        if response.is_json:
            schema = described["content"][response.mimetype]["schema"]
            assert not self.problems(schema, response.get_json())


def description_of(app: Flask) -> Description:
    """Return the description that `app` serves."""
    response = app.test_client().get("/openapi.json")
    assert response.status_code == 200
    document: Json = response.get_json()
    return Description(document)
