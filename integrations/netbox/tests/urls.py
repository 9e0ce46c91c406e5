from django.http import HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.urls import path


def who(request):
    user = request.user
    groups = sorted(group.name for group in user.groups.all()) if user.is_authenticated else []
    return JsonResponse({
        'username': user.get_username(), 'email': getattr(user, 'email', ''), 'first': getattr(user, 'first_name', ''),
        'last': getattr(user, 'last_name', ''), 'groups': groups,
        'staff': user.is_staff, 'superuser': user.is_superuser,
    })


def form(request):
    return HttpResponse('saved' if request.method == 'POST' else get_token(request))


urlpatterns = [path('', who), path('form', form)]
