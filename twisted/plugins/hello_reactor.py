from twisted.application.reactors import Reactor

uvloop = Reactor("uvloop", "hello_service.uvloop_reactor.reactor", "uvloop, connections and all.")
