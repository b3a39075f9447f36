from twisted.application.service import ServiceMaker

hello = ServiceMaker(
    "hello", "hello_service.service", "Say Welcome! and Hello to all who connect.", "hello"
)
